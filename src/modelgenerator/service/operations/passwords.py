"""Passwords, as nobody can read them: hashed slowly, with argon2.

In: a password, and what is kept of one.  Out: whether they belong together.  Whose they are is not
known here.
"""

import secrets
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from modelgenerator.service.errors import InvalidValue

SHORTEST, LONGEST = 10, 1_000
"""Characters."""
_HASHER = PasswordHasher()
_NOBODYS = _HASHER.hash(secrets.token_urlsafe())
# each takes 64 MiB: many at once would take the machine's memory
_AT_ONCE = threading.BoundedSemaphore(2)


def hash_password(password: str) -> str:
    """What is kept of a password: with salt and parameters in it.

    Raises:
        InvalidValue: it is too short, or too long.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidValue(
            f"A password has {SHORTEST} to {LONGEST:,} characters.", field="password"
        )
    with _AT_ONCE:
        return _HASHER.hash(_encoded(password))


def is_password(password: str, kept: str | None) -> bool:
    """Whether `kept` is of this password; takes as long when nothing is kept."""
    with _AT_ONCE:
        try:
            _HASHER.verify(kept or _NOBODYS, _encoded(password[: LONGEST + 1]))
        except (VerificationError, InvalidHashError):
            return False
    return kept is not None


def is_outdated(kept: str) -> bool:
    """Whether it was hashed as one would not do it any more."""
    return _HASHER.check_needs_rehash(kept)


def _encoded(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
