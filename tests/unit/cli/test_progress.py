"""What the command shows of a notice that came up in the middle of a training."""

import json

import pytest

from modelgenerator.cli.progress import Bars, JsonLines, PlainLines, Reporter
from modelgenerator.notices import Notice
from modelgenerator.training.events import Noticed

EVENT = Noticed(notice=Notice("warning", "d0", "d did not grow [at all]."))


def shown(reporter: Reporter, capsys: pytest.CaptureFixture[str]) -> list[str]:
    with reporter:
        reporter.event(EVENT)
    return [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]


@pytest.mark.parametrize("make", [PlainLines, Bars])
def test_a_person_reads_it_as_any_other_notice(
    make: type[Reporter], capsys: pytest.CaptureFixture[str]
):
    assert shown(make(), capsys) == ["warning: d0: d did not grow [at all]."]


def test_a_program_gets_it_once_and_as_any_other_notice(capsys: pytest.CaptureFixture[str]):
    (line,) = shown(JsonLines(), capsys)
    assert json.loads(line) == {
        "event": "notice",
        "level": "warning",
        "setting": "d0",
        "message": "d did not grow [at all].",
    }
