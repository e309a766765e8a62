"""Nasty files through the real command: a folder of all photos, and an archive that is a bomb."""

import json

from tests.nasty import ARCHIVES, PHOTOS


def test_every_nasty_photo_in_one_folder_ends_as_it_is_said(modelgenerator, tmp_path):
    folder = tmp_path / "uploads"
    folder.mkdir()
    outcomes = {}
    for number, nasty in enumerate(PHOTOS):
        name = f"{number:03} {nasty.name}"
        (folder / name).write_bytes(nasty.make())
        outcomes[name] = nasty
    done = modelgenerator("check", folder, "--json", "--output", "report")
    assert (done.returncode, done.stderr) == (2, "")  # most are far too small to learn from
    report = json.loads(done.stdout)
    refused = {one["name"]: one["reason"] for one in report["refused"]}
    wrong = [
        name
        for name, nasty in outcomes.items()
        if (nasty.outcome == "refused") is not (name in refused)
        or (name in refused and nasty.says not in refused[name])
    ]
    assert wrong == []


def test_a_bomb_in_an_archive_is_refused_in_words(modelgenerator, tmp_path):
    bomb = next(one for one in ARCHIVES if one.is_bomb and one.outcome == "refused")
    (tmp_path / "uploads.zip").write_bytes(bomb.make())
    done = modelgenerator("check", "uploads.zip", "--output", "report")
    assert done.returncode == 2
    assert bomb.says in done.stderr
    assert "Traceback" not in done.stderr
