"""What was backed up can be served."""

from pathlib import Path

import pytest
from tests.serving import serving

from modelgenerator.errors import OutputNotWritable
from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.operations.service import opened
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
