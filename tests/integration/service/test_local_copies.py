"""Copies of a dataset's pictures on the machine that works: the right ones, or none."""

import hashlib
from pathlib import Path
from uuid import UUID

import pytest

from modelgenerator.service.errors import FileDamaged
from modelgenerator.service.operations.local_copies import local_source
from modelgenerator.service.records.datasets import SnapshotPicture
from modelgenerator.service.store.files import Files
from modelgenerator.service.store.keys import hashed_name, organization_key

PHOTO, MASK = b"a photo", b"a mask"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def a_picture(files: Files, photo: bytes, mask: bytes) -> SnapshotPicture:
    """That was stored as `PHOTO` and `MASK`, and is now what is given."""
    names = ("a.png", hashed_name("a", sha256(MASK), ".png"))
    keys = [organization_key(UUID(int=1), "datasets", name) for name in names]
    for key, content in zip(keys, (photo, mask), strict=True):
        files.put(key, content)
    return SnapshotPicture(
        picture_id=UUID(int=2),
        label="a.png",
        storage_key=keys[0],
        sha256=sha256(PHOTO),
        caption=None,
        mask_key=keys[1],
    )


def test_a_photo_and_its_mask_are_there_under_the_names_that_a_person_gave(
    files: Files, tmp_path: Path
):
    source = local_source(files, [a_picture(files, PHOTO, MASK)], tmp_path / "room")
    found = {one.name: one.path.read_bytes() for one in source.files}
    assert found == {"a.png": PHOTO, "a.mask.png": MASK}


@pytest.mark.parametrize("damaged", [(b"another", MASK), (PHOTO, b"another")])
def test_what_is_not_what_was_stored_is_no_copy(
    files: Files, tmp_path: Path, damaged: tuple[bytes, bytes]
):
    with pytest.raises(FileDamaged, match="not what was stored"):
        local_source(files, [a_picture(files, *damaged)], tmp_path / "room")
    contents = [path.read_bytes() for path in (tmp_path / "room" / "pictures").iterdir()]
    assert b"another" not in contents
