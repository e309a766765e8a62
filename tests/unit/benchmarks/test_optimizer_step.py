import pytest
import torch
from optimizer_step import PAIRS, Case, cases, compare, measure, shapes

from modelgenerator.training.optimizers.by_name import OPTIMIZERS


def case(goal: float | None) -> Case:
    return Case(ours="AdamW", arguments={}, rival="torch", make_rival=torch.optim.AdamW, goal=goal)


def test_a_ratio_is_that_of_the_middle_turn_and_not_of_the_middle_times():
    found = compare(case(None), ours=[1.0, 10.0, 3.0], theirs=[2.0, 100.0, 4.0])
    assert found.ratio == 0.5
    assert (found.ours_ms, found.rival_ms) == (3000, 4000)


@pytest.mark.parametrize(
    ("goal", "verdict"), [(None, ""), (0.5, "goal 0.5: met"), (0.4, "goal 0.4: MISSED")]
)
def test_a_goal_is_met_or_missed(goal: float | None, verdict: str):
    assert compare(case(goal), ours=[1.0], theirs=[2.0]).verdict == verdict


def test_all_optimizers_are_compared_on_500_matrices():
    assert {case.ours for case in cases("cpu")} == set(OPTIMIZERS)
    assert len(shapes(32)) == 2 * PAIRS == 500


@pytest.mark.parametrize("case", cases("cpu"), ids=lambda case: case.ours)
def test_every_comparison_can_be_run(case: Case, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("optimizer_step.PAIRS", 3)
    assert measure(case, device="cpu", rounds=1, rank=1).ratio > 0
