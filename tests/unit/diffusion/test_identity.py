import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from modelgenerator.diffusion.identity import SMALL_BYTES, content_revision, file_revision

ROWS = 4
WIDTH = SMALL_BYTES // ROWS + 1
"""So that a matrix is larger than what is read whole."""


def weights(file: Path, *matrices: np.ndarray) -> None:
    """A safetensors file with these matrices."""
    layout, at = {}, 0
    for number, matrix in enumerate(matrices):
        offsets = [at, at := at + matrix.nbytes]
        layout[f"m{number}"] = {"dtype": "U8", "shape": matrix.shape, "data_offsets": offsets}
    header = json.dumps(layout).encode()
    content = b"".join(matrix.tobytes() for matrix in matrices)
    file.write_bytes(len(header).to_bytes(8, "little") + header + content)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base").mkdir()
    weights(tmp_path / "base" / "large.safetensors", *np.ones((2, ROWS, WIDTH), np.uint8))
    (tmp_path / "base" / "config.json").write_text('{"a": 1}')
    return tmp_path / "base"


def revision(folder: Path) -> str:
    return content_revision(folder, ["large.safetensors", "config.json"])


def test_a_copy_has_the_same_revision(folder: Path, tmp_path: Path):
    copy = Path(shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copyfile))
    assert revision(copy) == revision(folder)


def test_the_order_of_the_files_does_not_matter(folder: Path):
    assert content_revision(folder, ["config.json", "large.safetensors"]) == revision(folder)


@pytest.mark.parametrize("matrix", [0, 1])
@pytest.mark.parametrize("row", [0, ROWS - 1])
def test_other_numbers_in_any_matrix_are_noticed_under_the_same_name_and_size(
    folder: Path, matrix: int, row: int
):
    before = revision(folder)
    numbers = np.ones((2, ROWS, WIDTH), np.uint8)
    numbers[matrix, row] = 7
    weights(folder / "large.safetensors", *numbers)
    assert revision(folder) != before


def test_one_byte_in_a_small_file_is_noticed(folder: Path):
    before = revision(folder)
    (folder / "config.json").write_text('{"a": 2}')
    assert revision(folder) != before


def test_a_file_that_moved_to_another_name_is_noticed(folder: Path):
    before = revision(folder)
    (folder / "config.json").rename(folder / "other.json")
    assert content_revision(folder, ["large.safetensors", "other.json"]) != before


def test_a_single_file_is_the_same_under_another_name_and_another_one_with_other_weights(
    folder: Path, tmp_path: Path
):
    one = folder / "large.safetensors"
    renamed = Path(shutil.copyfile(one, tmp_path / "renamed.safetensors"))
    assert file_revision(renamed) == file_revision(one)
    weights(renamed, *np.full((2, ROWS, WIDTH), 2, np.uint8))
    assert file_revision(renamed) != file_revision(one)
