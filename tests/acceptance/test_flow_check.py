"""A flow is looked at by the real command, before any server sees it."""

import json
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "docs" / "guide" / "portrait-flow.json5"


def test_the_example_of_the_guide_can_run(modelgenerator):
    done = modelgenerator("flow", "check", EXAMPLE)
    assert (done.returncode, done.stderr) == (0, "")
    assert "can run: portraitTrainer (ModelGenerator), portraits (ImageGenerator)" in done.stdout


def test_the_mistakes_of_a_hurried_person_are_told_all_at_once(modelgenerator, tmp_path):
    text = EXAMPLE.read_text(encoding="utf-8")
    for right, wrong in [
        ("epochs: 80", "epoch: 80"),
        ("width: 768", "width: 770"),
        ("'$.input.userDatasetId'", "'$.input.userDataset'"),
        ("'$.results.portraitTrainer.id'", "'$.results.portraitTrainer.url'"),
        ("max: 20", "max: 2"),
        ("sources: ['portraits'], filename", "sources: ['pictures'], filename"),
        ("'#1a1a1a'", "'black'"),
    ]:
        assert right in text
        text = text.replace(right, wrong)
    (tmp_path / "flow.json5").write_text(text, encoding="utf-8")
    done = modelgenerator("flow", "check", "flow.json5")
    assert (done.returncode, done.stdout) == (2, "")
    head, *lines = done.stderr.splitlines()
    assert head == "error: flow.json5 has 7 faults:"
    assert [line.split()[0] for line in lines] == sorted(
        (line.split()[0] for line in lines), key=lambda place: [*map(int, place.split(":"))]
    )
    assert "did you mean epochs?" in done.stderr
    assert "did you mean userDatasetId?" in done.stderr
    told = modelgenerator("flow", "check", "flow.json5", "--json")
    assert told.returncode == 2
    assert len(json.loads(told.stdout)["faults"]) == 7


def test_the_command_loads_nothing_heavy(modelgenerator):
    done = modelgenerator("flow", "check", EXAMPLE, PYTHONPROFILEIMPORTTIME="1")
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "modelgenerator.flows.check" in loaded
    assert {"torch", "diffusers", "transformers", "numpy"}.isdisjoint(loaded)
