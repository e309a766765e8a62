import pytest
import start_up
from train_step import OURS, RIVALS, Ratios, Row, order_of, ratios, steps_per_turn, table


def turns(*seconds: float) -> list[dict[str, float]]:
    return [{"seconds": s, "cpuSeconds": s / 2} for s in seconds]


def row(**given: object) -> Row:
    facts: dict[str, object] = {
        "base": "embedded, attention",
        "optimizer": "AdamW",
        "rival": RIVALS[0],
        "parameters": 512_000,
        "steps_per_turn": 40,
        "our_steps_per_second": 15.0,
        "rival_steps_per_second": 10.0,
        "speed": Ratios(turns=(1.5, 1.4, 1.6)),
        "cpu": Ratios(turns=(1.5,)),
        "our_peak_bytes": 500 * 2**20,
        "rival_peak_bytes": 600 * 2**20,
    }
    return Row(**(facts | given))


def test_a_ratio_is_taken_turn_by_turn_so_that_a_slow_minute_does_not_count():
    assert ratios(turns(1, 10, 2), turns(2, 20, 4), "seconds").turns == (2, 2, 2)


def test_turns_that_are_missing_are_not_overlooked():
    with pytest.raises(ValueError, match="shorter"):
        ratios(turns(1, 2), turns(1), "seconds")


def test_everybody_is_first_equally_often():
    names = (OURS, *RIVALS)
    assert [order_of(turn, names)[0] for turn in range(2 * len(names))] == [*names, *names]


def test_a_turn_has_at_least_two_steps():
    assert steps_per_turn(0.1, 4) == 40
    assert steps_per_turn(60, 4) == 2


def test_the_table_says_how_many_times_more_the_rival_needs():
    assert "| 1.50x (1.40-1.60) | 1.50x | 500 / 600 | 1.20x |" in table([row()])


def test_only_what_somebody_waits_for_is_a_mark():
    phase = {"event": "phase", "title": "loading"}
    step = {"event": "stepFinished", "step": 1}
    notice = {"event": "notice", "message": "fp32 is used"}
    assert [start_up.mark_of(event) for event in (phase, step, notice)] == [
        "loading",
        start_up.FIRST_STEP,
        None,
    ]


def test_marks_are_summed_up_one_by_one():
    runs = [{"started": 4.0, "first step": 4.5}, {"started": 6.0, "first step": 4.6}]
    assert start_up.medians(runs) == {"started": 5.0, "first step": 4.55}
