"""Zip archives as their makers should not write them, one field at a time.

Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16.
"""

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Member:
    """What goes in, and what the archive says about it: None is the truth."""

    name: bytes
    content: bytes
    flags: int = 0
    method: int = 8
    mode: int = 0o100644
    crc: int | None = None
    promised: int | None = None
    """Bytes after unpacking."""
    disk: int = 0
    same_place_as_first: bool = False


def zip_of(members: Iterable[Member]) -> bytes:
    body, directory, count = b"", b"", 0
    for member in members:
        packed = member.content if member.method == 0 else _deflated(member.content)
        at = 0 if member.same_place_as_first else len(body)
        fields = _fields(member, packed)
        if not member.same_place_as_first:
            body += b"PK\x03\x04" + struct.pack("<H", 20) + fields + member.name + packed
        directory += b"PK\x01\x02" + struct.pack("<HH", 3 << 8 | 20, 20) + fields
        directory += struct.pack("<HHHII", 0, member.disk, 0, member.mode << 16, at) + member.name
        count += 1
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(body), 0)
    return body + directory + b"PK\x05\x06" + end


def _fields(member: Member, packed: bytes) -> bytes:
    """What both headers of a member have in common."""
    crc = zlib.crc32(member.content) if member.crc is None else member.crc
    size = len(member.content) if member.promised is None else member.promised
    numbers = (member.flags, member.method, 0, 0, crc, len(packed), size, len(member.name), 0)
    return struct.pack("<HHHHIIIHH", *numbers)


def _deflated(content: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()
