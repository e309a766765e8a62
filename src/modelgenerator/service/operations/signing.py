"""Signatures of webhook messages, by which a receiver knows that they are ours and new.

In: a message's id, time and body, and the endpoint's secrets.  Out: the headers of Standard
Webhooks.
Source: https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime

_MARK = "whsec_"
_BYTES = 32


def new_secret() -> str:
    """Random, in the form that libraries of receivers read."""
    return _MARK + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def signed_headers(
    id: str, at: datetime, body: bytes, endpoint_secrets: Sequence[str]
) -> dict[str, str]:
    """`webhook-id`, `webhook-timestamp` and a `webhook-signature` with each secret."""
    timestamp = str(int(at.timestamp()))
    content = b".".join((id.encode(), timestamp.encode(), body))
    signatures = (f"v1,{_signature(secret, content)}" for secret in endpoint_secrets)
    return {
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def _signature(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(_MARK))
    return base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
