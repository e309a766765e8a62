"""The checkpoints of a training in the storage, so that another machine can go on.

In: a checkpoint file of the library, or the key of one that was stored.  Out: `CheckpointStored`,
or the checkpoint itself, with the time that was used up to it.  The two newest are kept.
"""

from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from modelgenerator.errors import CannotResume
from modelgenerator.service.errors import FileDamaged, NotFound, StorageUnreachable
from modelgenerator.service.jobs.checkpoint_keys import (
    CheckpointName,
    checkpoint_key,
    checkpoints_below,
    read_key,
)
from modelgenerator.service.jobs.messages import Assignment, CheckpointStored, Told
from modelgenerator.service.store.files import Files
from modelgenerator.training import checkpoint, checkpoint_files
from modelgenerator.training.checkpoint import Checkpoint

KEPT = 2


@dataclass(frozen=True, slots=True)
class Resumed:
    """Where a training goes on; without a checkpoint, at its beginning."""

    checkpoint: Checkpoint | None
    used_ms: int


class StoredCheckpoints:
    """Those of one training, written by one attempt."""

    def __init__(self, files: Files, prefix: str, assignment: Assignment) -> None:
        self._files = files
        self._folder = f"{prefix}/attempts/{assignment.name}"
        self._assignment = assignment
        self._kept = [key] if (key := assignment.checkpoint_key) else []
        self.stored_step = 0
        self.first_step = 0
        """Steps that were done before this job began."""

    def byte_count(self, folder: Path) -> int:
        """Of the newest of `folder`; 0 if there is none."""
        file = folder / checkpoint_files.FILE
        return file.stat().st_size if file.exists() else 0

    def store(self, folder: Path, used_ms: int) -> CheckpointStored | None:
        """Put the newest of `folder` there; none if that was done before or there is none."""
        file = folder / checkpoint_files.FILE
        try:
            step = int(checkpoint_files.read(file)[1]["step"])
        except checkpoint_files.Damaged:
            return None
        if step <= self.stored_step:
            return None
        key = checkpoint_key(self._folder, step=step, first_step=self.first_step, used_ms=used_ms)
        stored = self._files.put(key, file)
        self.stored_step = step
        self._kept.append(key)
        self._forget_older()
        return CheckpointStored(
            storage_key=key,
            sha256=stored.sha256,
            byte_count=stored.byte_count,
            step=step,
            used_ms=used_ms,
        )

    def _forget_older(self) -> None:
        """What cannot be deleted now is deleted after the next."""
        with suppress(StorageUnreachable):
            while len(self._kept) > KEPT:
                self._files.delete(self._kept[0])
                self._kept.pop(0)

    def resume(self, folder: Path, *, plan_digest: str) -> Generator[Told, None, Resumed]:
        """The checkpoint that the ledger knows, or one before it if that cannot be used."""
        newest = self._assignment.checkpoint_key
        if newest is None:
            return Resumed(None, 0)
        for key in (newest, *self._before(newest)):
            try:
                found = self._read(key, folder, plan_digest)
            except (CannotResume, FileDamaged, NotFound) as error:
                yield Told("checkpointUnusable", {"storageKey": key, "reason": _why(error)})
                continue
            return self._gone_on(found, read_key(key), read_key(newest))
        return Resumed(None, 0)

    def _gone_on(
        self, found: Checkpoint, name: CheckpointName | None, newest: CheckpointName | None
    ) -> Resumed:
        """What is paid of this job's time, and which of its steps are its own."""
        self.stored_step = self.first_step = found.step
        used_ms = self._assignment.used_ms
        if name is not None and name.job == self._assignment.job_id.hex:
            self.first_step = name.first_step
            used_ms -= max(0, newest.used_ms - name.used_ms) if newest else 0
        return Resumed(found, max(0, used_ms))

    def _read(self, key: str, folder: Path, plan_digest: str) -> Checkpoint:
        file = folder / checkpoint_files.FILE
        # it carries its own hash
        self._files.download(key, file, sha256=None)
        try:
            return checkpoint.read(folder, plan_digest=plan_digest)
        except CannotResume:
            file.unlink()
            raise

    def _before(self, newest: str) -> list[str]:
        """Names sort by job, attempt and step."""
        if (name := read_key(newest)) is None:
            return []
        found = checkpoints_below(self._files, name.prefix)
        return [key for key in reversed(found) if key < newest]


def _why(error: CannotResume | FileDamaged | NotFound) -> str:
    if isinstance(error, NotFound):
        return "it is not in the storage any more"
    damaged = isinstance(error, FileDamaged) or "damaged" in str(error)
    return "it is damaged" if damaged else "it belongs to other settings, pictures or base model"
