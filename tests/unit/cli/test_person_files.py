"""The files that find people: taken out of a wheel, and told when they cannot be had."""

import zipfile
from pathlib import Path

import pytest

from modelgenerator.cli import doctor, person_files
from modelgenerator.datasets.segmenters.person_files import (
    FOLDER_VARIABLE,
    PersonFile,
    person_file,
    person_files_folder,
)


def wheel_with(folder: Path, content: bytes) -> Path:
    wheel = folder / "mediapipe-0.10.21.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for inside, name in (
            ("face_detection", PersonFile.FACES),
            ("selfie_segmentation", PersonFile.PERSON),
        ):
            archive.writestr(f"mediapipe/modules/{inside}/{name}", content)
        archive.writestr("mediapipe-0.10.21.dist-info/LICENSE", "Apache")
    return wheel


def test_another_wheel_s_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not the file that is known"):
        person_files.take_out(wheel_with(tmp_path, b"something else"), tmp_path / "to")
    assert not list((tmp_path / "to").glob("*.tflite"))


def test_without_a_registry_one_sentence_says_what_that_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    said = person_files.fetch(tmp_path)
    assert said.startswith("People will be cut out by colour alone")
    assert "\n" not in said


def test_the_doctor_says_what_is_missing_and_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert person_files_folder() == tmp_path
    assert person_file(PersonFile.PERSON) is None
    finding = doctor.person_files_finding()
    assert str(tmp_path) in finding.found
    assert "python -m modelgenerator.cli.person_files" in str(finding.advice)
