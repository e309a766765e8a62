"""What was backed up can be served."""

from pathlib import Path

import pytest
from tests.serving import serving
from tests.uploaded import SETTINGS, a_dataset, claimed

from modelgenerator.errors import OutputNotWritable
from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.errors import LeaseLost
from modelgenerator.service.operations.planning import TrainingRequest
from modelgenerator.service.operations.service import opened
from modelgenerator.service.operations.trainings import create_training
from modelgenerator.service.records.jobs import JobStatus
from modelgenerator.service.store.backup import back_up


def test_a_backup_is_a_data_folder_with_the_same_rows_and_files(tmp_path: Path):
    with serving(tmp_path / "data") as here:
        here.service.files.put("organizations/a/b.png", b"picture")
        service = here.service
        told = list(back_up(service.config, service.database, service.files, tmp_path / "copy"))
    assert told[-1].count == 1
    assert (tmp_path / "copy/secret.key").read_bytes() == (
        tmp_path / "data/secret.key"
    ).read_bytes()
    with opened(ServiceConfig(data_dir=tmp_path / "copy")) as again:
        assert again.files.read("organizations/a/b.png") == b"picture"
        with again.database.reading() as transaction:
            found = [it.id for it in transaction.identities.organizations()]
    assert found == [here.organization_id]


def test_a_backup_never_goes_over_another(tmp_path: Path):
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/yesterday").touch()
    with serving(tmp_path / "data") as here:
        service = here.service
        copying = back_up(service.config, service.database, service.files, tmp_path / "copy")
        with pytest.raises(OutputNotWritable, match="not empty"):
            next(copying)


def test_what_began_after_a_backup_is_not_taken_from_its_worker(tmp_path: Path):
    with serving(tmp_path / "data") as here:
        service, dataset_id = here.service, a_dataset(here)
        for _ in back_up(service.config, service.database, service.files, tmp_path / "copy"):
            pass
        asked = TrainingRequest(dataset_id=dataset_id, settings=SETTINGS)
        create_training(service, here.owner, asked)
        late = claimed(here).lease
    with opened(ServiceConfig(data_dir=tmp_path / "copy")) as again:
        for write in (
            lambda jobs: jobs.heartbeat(late, again.clock(), again.config.lease),
            lambda jobs: jobs.save_checkpoint(late, "key", {}, again.clock(), used_ms=1),
            lambda jobs: jobs.finish(late, JobStatus.SUCCEEDED, again.clock()),
        ):
            with pytest.raises(LeaseLost), again.database.transaction() as transaction:
                write(transaction.jobs)
        with again.database.reading() as transaction:
            store = transaction.of(here.organization_id)
            assert (store.jobs.count(), store.trainings.count()) == (0, 0)
            assert store.pictures.count() == 5
            assert store.accounts.read().held == 0
