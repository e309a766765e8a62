"""Addresses of strangers that the service sends something to, and those that it never does.

In: an address that somebody wrote.  Out: where to connect to, checked; or a refusal.  A name is
resolved once, every address behind it is checked, and the connection goes to the one that was
checked: a name that means something else a moment later does not matter.
"""

import ipaddress
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from modelgenerator.service.errors import AddressRefused

LONGEST_ADDRESS = 2_000
_PORTS = {"http": 80, "https": 443}
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv4 addresses inside of IPv6 ones; Source: RFC 6052, section 2.1."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a checked address leads."""

    url: str
    host: str
    """As it was written: who is asked there."""
    ip: str
    """To connect to."""
    port: int
    is_tls: bool


def check_written(url: str, *, field: str = "url") -> SplitResult:
    """The parts of `url`, if it is one that messages can be sent to.

    Raises:
        AddressRefused: it is not http or https, or carries a name and password.
    """
    try:
        parts = urlsplit(url)
        port_is_there = parts.port is None or 0 < parts.port < 65_536
    except ValueError:
        raise _refused("It cannot be read.", field) from None
    if len(url) > LONGEST_ADDRESS or any(ord(letter) <= 32 for letter in url):
        raise _refused(f"It has at most {LONGEST_ADDRESS} letters and no spaces.", field)
    if parts.scheme not in _PORTS or not parts.hostname or not port_is_there:
        raise _refused("It begins with https:// or http:// and names a host.", field)
    if parts.username is not None or parts.password is not None:
        raise _refused("A name and password in it would end up in logs.", field)
    return parts


def resolved(url: str, *, allows_private: bool, field: str = "url") -> Target:
    """Where `url` leads; takes as long as the name server does.

    Raises:
        AddressRefused: no such name, or one of the addresses behind it is not of the open internet.
    """
    parts = check_written(url, field=field)
    assert parts.hostname is not None
    port = parts.port or _PORTS[parts.scheme]
    found = list(_addresses(parts.hostname, port, field))
    if not allows_private:
        for address in found:
            if not _is_open(address):
                raise _refused("It leads into a private network.", field)
    return Target(url, parts.hostname, str(found[0]), port, parts.scheme == "https")


def _addresses(host: str, port: int, field: str) -> Iterator[Address]:
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise _refused(f"There is no host {host}.", field) from None
    for *_, place in infos:
        # a scope, as in fe80::1%eth0, is no part of the address
        yield ipaddress.ip_address(str(place[0]).partition("%")[0])


def _is_open(address: Address) -> bool:
    """Whether it is of the open internet, and so is every address that is written inside it."""
    inside = list(_written_inside(address)) if isinstance(address, ipaddress.IPv6Address) else []
    return all(
        one.is_global and not one.is_multicast and not one.is_reserved
        for one in (inside or [address])
    )


def _written_inside(address: ipaddress.IPv6Address) -> Iterator[ipaddress.IPv4Address]:
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in _TRANSLATED:
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)


def _refused(why: str, field: str) -> AddressRefused:
    return AddressRefused(
        f"Nothing can be sent to this address. {why}",
        field=field,
        hint="Give the https address of a server that the internet reaches.",
    )
