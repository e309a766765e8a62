"""Brings the two small networks that find people and faces: one command, 36 MB, once.

    python -m modelgenerator.cli.person_files

They lie in the wheel of a published library, MediaPipe 0.10.21 (Apache 2.0), which is downloaded
with pip, opened as the zip archive that it is, and thrown away: the library itself is not
installed.  Without them people are cut out by colour alone, so a failure is told and is no error.
"""

import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from modelgenerator.datasets.segmenters.person_files import (
    SHA256,
    PersonFile,
    person_file,
    person_files_folder,
    sha256_of,
)

_WHEEL = "mediapipe==0.10.21"
_PIP = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check")
# the files are the same on every platform, but not every Python has a wheel
_ONE_PLATFORM = (
    "--no-deps",
    "--only-binary=:all:",
    "--python-version=3.11",
    "--platform=manylinux_2_28_x86_64",
    "--platform=manylinux2014_x86_64",
)
_LICENCE = "mediapipe-0.10.21.dist-info/LICENSE"
_IN_WHEEL = {
    PersonFile.FACES: "mediapipe/modules/face_detection",
    PersonFile.PERSON: "mediapipe/modules/selfie_segmentation",
}


def main() -> None:
    """Fetch what is missing, and say in one line what came of it."""
    sys.stdout.write(fetch(person_files_folder()) + "\n")


def fetch(folder: Path) -> str:
    """Put the files into `folder`; a sentence about what happened."""
    if all(person_file(name) for name in PersonFile):
        return f"The files that find people are in {folder}."
    try:
        with TemporaryDirectory() as place:
            _download(Path(place))
            wheel = next(Path(place).glob("*.whl"))
            take_out(wheel, folder)
    except (OSError, subprocess.CalledProcessError, StopIteration, KeyError, ValueError) as problem:
        reason = getattr(problem, "stderr", None) or str(problem) or type(problem).__name__
        last = reason.strip().splitlines()[-1]
        return f"People will be cut out by colour alone: {_WHEEL} cannot be had ({last})."
    return f"The files that find people are in {folder} now."


def take_out(wheel: Path, folder: Path) -> None:
    """The two files and their licence.

    Raises:
        OSError: the folder cannot be written.
        KeyError, ValueError: the wheel does not hold them as they are known.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        for name, inside in _IN_WHEEL.items():
            content = archive.read(f"{inside}/{name}")
            if sha256_of(content) != SHA256[name]:
                raise ValueError(f"{name} is not the file that is known")
            (folder / name).write_bytes(content)
        (folder / "mediapipe-LICENSE.txt").write_bytes(archive.read(_LICENCE))


def _download(folder: Path) -> None:
    command = [*_PIP, *_ONE_PLATFORM, f"--dest={folder}", _WHEEL]
    subprocess.run(command, check=True, capture_output=True, text=True)


if __name__ == "__main__":
    main()
