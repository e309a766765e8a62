"""The two small networks that find people and faces, as files on this machine.

The set-up takes them out of a published wheel (`modelgenerator.cli.person_files`); they are not
part of this package.  Out: their paths, or none.  What the networks see is not known here.
"""

import hashlib
import os
import sys
from enum import StrEnum
from functools import cache
from pathlib import Path

FOLDER_VARIABLE = "MODELGENERATOR_PERSON_FILES"
FETCH = "To get it: python -m modelgenerator.cli.person_files"
"""What to do when a file is missing."""


class PersonFile(StrEnum):
    """Name of a file; both are Google's MediaPipe, Apache 2.0."""

    FACES = "face_detection_short_range.tflite"
    PERSON = "selfie_segmentation.tflite"


SHA256 = {
    PersonFile.FACES: "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
    PersonFile.PERSON: "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
}
"""As they lie in the wheel of mediapipe 0.10.21: another file is not loaded."""


def person_files_folder() -> Path:
    """`MODELGENERATOR_PERSON_FILES`, or where the set-up puts them: beside the environment."""
    given = os.environ.get(FOLDER_VARIABLE)
    return Path(given) if given else Path(sys.prefix) / "share" / "modelgenerator"


def person_file(name: PersonFile) -> Path | None:
    """Where it lies; none if it is absent or not the file that is known here."""
    path = person_files_folder() / name
    try:
        found = path.stat()
        known = _sha256_in(path, found.st_size, found.st_mtime_ns) == SHA256[name]
    except OSError:
        return None
    return path if known else None


def sha256_of(content: bytes) -> str:
    """In hexadecimal."""
    return hashlib.sha256(content).hexdigest()


@cache
def _sha256_in(path: Path, size: int, changed: int) -> str:  # noqa: ARG001
    return sha256_of(path.read_bytes())
