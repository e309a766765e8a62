"""The verifier on the page about webhooks takes what is ours, and nothing that was changed."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelgenerator.service.operations.signing import new_secret, signed_headers

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "webhooks.md"
AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
BODY = b'{"type":"training.succeeded"}'


@pytest.fixture(scope="module")
def is_genuine():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    names = {}
    exec(code, names)
    return names["is_genuine"]


def test_what_was_sent_is_genuine_for_five_minutes(is_genuine):
    secret = new_secret()
    headers = signed_headers("msg_1", AT, BODY, [new_secret(), secret])
    assert is_genuine(secret, headers, BODY, now=AT.timestamp() + 299)
    assert not is_genuine(secret, headers, BODY, now=AT.timestamp() + 301)
    assert not is_genuine(secret, headers, BODY)


def test_what_was_forged_or_changed_is_not(is_genuine):
    secret, now = new_secret(), AT.timestamp()
    headers = signed_headers("msg_1", AT, BODY, [secret])
    assert not is_genuine(secret, headers, BODY.replace(b"succeeded", b"failed"), now=now)
    assert not is_genuine(secret, headers | {"webhook-id": "msg_2"}, BODY, now=now)
    assert not is_genuine(secret, headers | {"webhook-timestamp": f"{now + 9:.0f}"}, BODY, now=now)
    assert not is_genuine(new_secret(), headers, BODY, now=now)
    assert not is_genuine(secret, headers | {"webhook-signature": "v1,"}, BODY, now=now)
