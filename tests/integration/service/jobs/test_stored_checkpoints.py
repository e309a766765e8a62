"""Checkpoints in a storage that fails at the wrong moment."""

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from tests.remembered import SetClock
from tests.unit.training.test_checkpoint import SAVED

from modelgenerator.service.errors import StorageFull
from modelgenerator.service.jobs.checkpoints import StoredCheckpoints
from modelgenerator.service.jobs.messages import Assignment
from modelgenerator.service.records.jobs import JobKind
from modelgenerator.service.store.folder import FolderFiles
from modelgenerator.service.store.links import LinkSigner
from modelgenerator.training import checkpoint

ASSIGNMENT = Assignment(job_id=UUID(int=1), attempt=1, kind=JobKind.TRAIN, spec={})


def test_a_disk_that_is_full_at_a_checkpoint_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    files = FolderFiles(tmp_path / "files", LinkSigner([b"s" * 32]), SetClock(), base_url="")
    stored = StoredCheckpoints(files, "organizations/1/trainings/1", ASSIGNMENT)
    checkpoint.write(replace(SAVED, step=3), tmp_path)
    first = stored.store(tmp_path, used_ms=1_000)
    assert first is not None
    before = files.read(first.storage_key)
    checkpoint.write(replace(SAVED, step=7), tmp_path)

    def full(*_: object) -> None:
        raise StorageFull

    with monkeypatch.context() as patch:
        patch.setattr(FolderFiles, "put", full)
        with pytest.raises(StorageFull):
            stored.store(tmp_path, used_ms=2_000)
    assert list(files.keys("organizations")) == [first.storage_key]
    assert files.read(first.storage_key) == before
    again = stored.store(tmp_path, used_ms=2_000)
    assert again is not None
    assert again.step == 7


def test_a_damaged_checkpoint_gives_way_to_the_one_before_or_to_the_beginning(tmp_path: Path):
    files = FolderFiles(tmp_path / "files", LinkSigner([b"s" * 32]), SetClock(), base_url="")
    stored = StoredCheckpoints(files, "organizations/1/trainings/1", ASSIGNMENT)
    keys: list[str] = []
    for step in (3, 7):
        checkpoint.write(replace(SAVED, step=step), tmp_path)
        kept = stored.store(tmp_path, used_ms=step * 1_000)
        assert kept is not None
        keys.append(kept.storage_key)
    assert _gone_on(files, keys[1], tmp_path / "whole") == (7, 7_000, [])
    _damage(files, keys[1])
    assert _gone_on(files, keys[1], tmp_path / "one") == (3, 3_000, ["it is damaged"])
    files.delete(keys[0])
    assert _gone_on(files, keys[1], tmp_path / "none") == (None, 0, ["it is damaged"])
    files.delete(keys[1])
    gone = (None, 0, ["it is not in the storage any more"])
    assert _gone_on(files, keys[1], tmp_path / "nothing") == gone


def _gone_on(files: FolderFiles, key: str, folder: Path) -> tuple[int | None, int, list[object]]:
    """At which step the next attempt begins, what is paid by then, and what it says."""
    folder.mkdir()
    again = replace(ASSIGNMENT, attempt=2, checkpoint_key=key, used_ms=7_000)
    resuming = StoredCheckpoints(files, "organizations/1/trainings/1", again).resume(
        folder, plan_digest=SAVED.plan_digest
    )
    said: list[object] = []
    while True:
        try:
            said.append(next(resuming).data["reason"])
        except StopIteration as end:
            found = end.value
            return found.checkpoint and found.checkpoint.step, found.used_ms, said


def _damage(files: FolderFiles, key: str) -> None:
    content = files.read(key)
    files.delete(key)
    files.put(key, content[:-1] + bytes([content[-1] ^ 1]))
