"""Links to stored files that open one file, for one method, for a while.

In: a secret and what a link is to allow.  Out: a token, and whether a token that came back allows
it.  Nothing is remembered: what a token allows, its signature says.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime

from modelgenerator.service.errors import LinkRefused


class LinkSigner:
    """Signs with the first secret and takes the others' signatures too, so that they can change."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        assert secrets, "somebody signs"
        assert all(len(secret) >= 32 for secret in secrets), "a secret has 32 bytes"
        self._secrets = tuple(secrets)

    def sign(self, method: str, key: str, expires_at: datetime) -> str:
        """The token that allows `method` on the file at `key` until then, to the second."""
        expiry = int(expires_at.timestamp())
        return f"{expiry}.{_signature(self._secrets[0], method, key, expiry)}"

    def check(self, token: str, method: str, key: str, now: datetime) -> None:
        """Nothing, if `token` allows `method` on the file at `key` now.

        Raises:
            LinkRefused: it does not, or not any more.
        """
        written, _, signature = token.partition(".")
        expiry = int(written) if written.isascii() and written.isdigit() else 0
        good = [
            hmac.compare_digest(_signature(secret, method, key, expiry).encode(), given)
            for secret in self._secrets
            for given in (signature.encode(),)
        ]
        if not any(good) or now >= datetime.fromtimestamp(expiry, UTC):
            raise LinkRefused


def _signature(secret: bytes, method: str, key: str, expiry: int) -> str:
    text = f"file\n{method.upper()}\n{key}\n{expiry}"
    digest = hmac.digest(secret, text.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
