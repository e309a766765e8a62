"""What every operation needs: the deployment, opened once.

In: a config.  Out: a `Service` with everything that is ready to use.  Who asks is not known here:
that is a `Caller`.
"""

import shutil
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property, partial
from pathlib import Path
from uuid import UUID, uuid4

from modelgenerator.datasets.workers import Workers
from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.errors import StorageFull
from modelgenerator.service.operations.attempts import Attempts
from modelgenerator.service.operations.base_models import BaseModelLooks
from modelgenerator.service.operations.devices import Gpu, facts_of, facts_of_cluster, gpus_here
from modelgenerator.service.operations.local_copies import dataset_room, rooms_of
from modelgenerator.service.operations.news import News
from modelgenerator.service.records.clock import Clock, system_clock
from modelgenerator.service.store.database import Database
from modelgenerator.service.store.files import Files
from modelgenerator.service.store.links import LinkSigner
from modelgenerator.service.store.opening import open_database, open_files, signing_secret
from modelgenerator.training.plan import DeviceFacts

_ANY_ID = "[0-9a-f]" * 32


@dataclass(frozen=True, kw_only=True)
class Service:
    """One deployment, opened."""

    config: ServiceConfig
    database: Database
    files: Files
    links: LinkSigner
    clock: Clock
    photo_workers: Workers
    """Decode strangers' photos; for one caller at a time, who holds `photo_turn`."""
    news: News
    photo_turn: threading.Lock = field(default_factory=threading.Lock)
    gpus: tuple[Gpu, ...] = ()
    """Of this machine, each of which runs a job; none where other machines do."""
    devices: Callable[[], tuple[DeviceFacts, ...]] = field(default=lambda: (facts_of(),))
    """What a training may run on, the one with the least memory first."""
    base_models: BaseModelLooks = field(default_factory=BaseModelLooks)
    attempts_by_address: Attempts = field(
        default_factory=lambda: Attempts(60, timedelta(minutes=15))
    )
    """To sign in."""
    attempts_by_email: Attempts = field(default_factory=lambda: Attempts(10, timedelta(minutes=15)))
    public_runs: Attempts = field(default_factory=lambda: Attempts(10, timedelta(hours=1)))
    """Runs of a public flow that are started from one address."""
    public_uploads: Attempts = field(default_factory=lambda: Attempts(60, timedelta(hours=1)))
    """Uploads for a public flow that come from one address."""

    @cached_property
    def requests(self) -> Attempts:
        """What is made or changed with one API key, or in one session."""
        return Attempts(self.config.requests_per_minute, timedelta(minutes=1))

    def dataset_room(self, organization_id: UUID, dataset_id: UUID) -> Path:
        """The folder on this machine for everything that is derived from a dataset's pictures."""
        return dataset_room(self.config.data_dir, organization_id, dataset_id)

    def spool_folder(self) -> Path:
        """A new folder for an upload on its way; whoever asks removes it.

        Raises:
            StorageFull: the disk is full.
        """
        folder = self._spool / uuid4().hex
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise StorageFull("There is no space left for what was sent.") from error
        return folder

    def forget_spooled(self, older_than: timedelta) -> int:
        """Remove what killed processes left of uploads on their way; of how many."""
        oldest = self.clock().timestamp() - older_than.total_seconds()
        left = [folder for folder in self._spool.glob("*") if folder.stat().st_mtime < oldest]
        for folder in left:
            shutil.rmtree(folder, ignore_errors=True)
        return len(left)

    @property
    def _spool(self) -> Path:
        return self.config.data_dir.absolute() / "incoming"

    def rooms(self) -> list[Path]:
        """All that are on this machine."""
        return sorted(rooms_of(self.config.data_dir).glob(f"{_ANY_ID}/{_ANY_ID}"))


@contextmanager
def opened(config: ServiceConfig, clock: Clock = system_clock) -> Generator[Service, None, None]:
    """The deployment that `config` describes, until the block ends.

    Raises:
        InvalidSettings, DatabaseTooNew, StoreBusy, StorageUnreachable: see `store.opening`.
    """
    config.data_dir.mkdir(parents=True, exist_ok=True)
    links = LinkSigner([signing_secret(config)])
    database = open_database(config)
    try:
        files = open_files(config, links, clock)
        with Workers() as workers:
            gpus, devices = _devices(config)
            yield Service(
                config=config,
                gpus=gpus,
                devices=devices,
                database=database,
                files=files,
                links=links,
                clock=clock,
                photo_workers=workers,
                news=News(),
            )
    finally:
        database.close()


def _devices(
    config: ServiceConfig,
) -> tuple[tuple[Gpu, ...], Callable[[], tuple[DeviceFacts, ...]]]:
    """The GPUs that run jobs here, and what a training is planned for."""
    if config.executor == "ray":
        return (), partial(facts_of_cluster, config)
    gpus = gpus_here()
    return gpus, lambda: (facts_of(gpus),)
