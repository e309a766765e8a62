"""Photos to look at: real ones that installed libraries ship, and simple scenes."""

import os
from collections.abc import Callable
from pathlib import Path

import matplotlib
import pytest
import skimage

from modelgenerator.datasets.images import Photo, read_photo
from modelgenerator.datasets.segmenters.person_files import PersonFile, person_file

_FOLDERS = (
    Path(skimage.__file__).parent / "data",
    Path(matplotlib.get_data_path()) / "sample_data",
)


@pytest.fixture(scope="session")
def real_photo() -> Callable[[str], Photo]:
    """Of scikit-image's and matplotlib's, by file name."""

    def read(name: str) -> Photo:
        path = next(folder / name for folder in _FOLDERS if (folder / name).is_file())
        return read_photo(path.read_bytes(), name=name)

    return read


@pytest.fixture(scope="session")
def person_network() -> Path:
    """The file that finds people, with the one that finds faces beside it."""
    found = [person_file(name) for name in (PersonFile.PERSON, PersonFile.FACES)]
    if None in found and not os.environ.get("CI"):
        pytest.skip("the person files are not here: python -m modelgenerator.cli.person_files")
    assert found[0] is not None
    assert found[1] is not None
    return found[0]
