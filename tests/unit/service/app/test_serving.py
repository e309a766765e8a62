"""What is said before a server answers."""

import pytest

from modelgenerator.service.app.serving import _warn_of_own_secret
from modelgenerator.service.config import ServiceConfig

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
