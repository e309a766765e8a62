"""What is said before a server answers."""

from dataclasses import dataclass

import pytest

from modelgenerator.errors import InvalidSettings, ModelGeneratorError
from modelgenerator.service.app.serving import _try_storage, _warn_of_own_secret
from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.errors import StorageUnreachable

SECRET = "k" * 32
SHARED = "postgresql://somebody@somewhere/records"


@pytest.mark.parametrize(
    ("deployed", "warns"),
    [
        ({}, False),
        ({"database_url": SHARED}, True),
        ({"database_url": SHARED, "secret_key": SECRET}, False),
    ],
)
def test_a_secret_that_no_other_server_has_is_told(deployed, warns, caplog):
    _warn_of_own_secret(ServiceConfig.model_validate(deployed))
    assert ("MODELGENERATOR_SECRET_KEY" in caplog.text) == warns
    assert SECRET not in caplog.text


@dataclass
class Storage:
    """Whose trial ends like this."""

    error: ModelGeneratorError | None

    def assure_rules(self) -> None:
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize("error", [StorageUnreachable(), None])
def test_a_storage_that_may_come_back_is_a_warning(error, caplog):
    _try_storage(Storage(error))
    assert caplog.messages == (
        [f"{error} Until then nothing is taken that needs it."] if error else []
    )


def test_a_storage_that_never_will_do_ends_the_start():
    with pytest.raises(InvalidSettings, match="no bucket"):
        _try_storage(Storage(InvalidSettings("There is no bucket.")))
