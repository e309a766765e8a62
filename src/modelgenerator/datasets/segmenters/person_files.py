"""The two small networks that find people and faces, as files on this machine.

The set-up takes them out of a published wheel (`.ci/fetch-person-files`); they are not part of this
package.  Out: their paths, or none.  What the networks see is not known here.
"""

import hashlib
import os
import sys
from enum import StrEnum
from functools import cache
from pathlib import Path

FOLDER_VARIABLE = "MODELGENERATOR_PERSON_FILES"
FETCH = "`modelgenerator doctor` says how to get it."
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
    return path if _sha256(path) == SHA256[name] else None


@cache
def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
