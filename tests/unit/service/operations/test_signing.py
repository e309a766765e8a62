import base64
from datetime import UTC, datetime

from modelgenerator.service.operations.signing import new_secret, signed_headers

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
AT = datetime.fromtimestamp(1_614_265_330, UTC)


def test_a_signature_is_the_published_one():
    """Source: standard-webhooks, libraries/python, tests/test_webhooks.py."""
    headers = signed_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", AT, b'{"test": 2432232314}', [SECRET])
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_every_secret_signs_the_newest_first():
    newer = new_secret()
    both = signed_headers("msg_1", AT, b"{}", [newer, SECRET])["webhook-signature"].split(" ")
    alone = [
        signed_headers("msg_1", AT, b"{}", [it])["webhook-signature"] for it in (newer, SECRET)
    ]
    assert both == alone


def test_a_new_secret_is_random_and_long_enough():
    first, second = new_secret(), new_secret()
    assert first != second
    assert 24 <= len(base64.b64decode(first.removeprefix("whsec_"))) <= 64
