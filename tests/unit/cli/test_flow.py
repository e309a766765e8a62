"""`modelgenerator flow check`, called as from the command line."""

import json
import sys
from pathlib import Path

import pytest
from tests.flows import flow

from modelgenerator.cli import main

EXAMPLE = Path(__file__).parents[3] / "docs" / "guide" / "portrait-flow.json5"
BAD = """\
{
  title: 'T',
  description: 'D',
  steps: [
    {
      id: 'trainer',
      type: 'ModelGenerator',
      parameters: {
        datasetId: '$.input.photos',
        settings: { baseModel: 'b', epochs: 0, epochs: 0 },
      },
    },
  ],
  runPrice: 5,
}
"""


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["modelgenerator", "flow", "check", *map(str, words)])
    try:
        main.main()
    except SystemExit as stopped:
        return int(stopped.code or 0)
    return 0


def test_a_flow_that_can_run_is_said_to(monkeypatch, capsys):
    assert run(monkeypatch, EXAMPLE) == 0
    out, err = capsys.readouterr()
    assert "can run: portraitTrainer (ModelGenerator), portraits (ImageGenerator), album" in out
    assert err == ""


def test_every_fault_is_told_with_its_place_and_what_to_do(monkeypatch, capsys, tmp_path):
    file = tmp_path / "bad.json5"
    file.write_text(BAD)
    assert run(monkeypatch, file) == 2
    out, err = capsys.readouterr()
    assert out == ""
    note, head, *lines = err.splitlines()
    assert note.startswith("note: 14:3 /runPrice: runPrice is kept")
    assert head == f"error: {file} has 3 faults:"
    assert [line.split()[0] for line in lines] == ["9:9", "10:48", "10:48"]
    assert "/steps/0/parameters/datasetId: $.input.photos leads to nothing" in lines[0]
    assert "from 1 to 10000, not 0 (leave it out" in lines[1]
    assert "stands twice" in lines[2]


def test_programs_get_json(monkeypatch, capsys, tmp_path):
    file = tmp_path / "bad.json5"
    file.write_text(BAD)
    assert run(monkeypatch, file, "--json") == 2
    said = json.loads(capsys.readouterr().out)
    assert [fault["code"] for fault in said["faults"]] == [
        "unknownInput",
        "invalidSetting",
        "duplicateName",
    ]
    assert said["faults"][0] == {
        "pointer": "/steps/0/parameters/datasetId",
        "code": "unknownInput",
        "message": "$.input.photos leads to nothing: there is no photos there",
        "hint": "",
        "line": 9,
        "column": 9,
    }
    assert [remark["code"] for remark in said["remarks"]] == ["notSupported"]
    file.write_text(json.dumps(flow()))
    assert run(monkeypatch, file, "--json") == 0
    assert json.loads(capsys.readouterr().out)["faults"] == []


def test_a_flow_cannot_steer_the_terminal(monkeypatch, capsys, tmp_path):
    file = tmp_path / "flow.json"
    file.write_text(json.dumps(flow(**{"\x1b[31m\x9bred\n": 1})))
    assert run(monkeypatch, file) == 2
    assert {"\x1b", "\x9b"}.isdisjoint(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "No such file"),
        (b"\xff\xfe", "not UTF-8"),
        (b"{a: 1 b: 2}", "line 1, column 7"),
        (b" " * 1_000_003, "at most 1,000,000 bytes"),
        (b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}", "nests at most 64 deep"),
        (b"[]", "must be an object"),
    ],
)
def test_a_file_that_is_no_flow_is_refused(monkeypatch, capsys, tmp_path, content, complaint):
    file = tmp_path / "flow.json5"
    if content is not None:
        file.write_bytes(content)
    assert run(monkeypatch, file) == 2
    assert complaint in capsys.readouterr().err
