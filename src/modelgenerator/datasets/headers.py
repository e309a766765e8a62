"""What the beginning of a file says about a picture, before anything is decoded.

In come the bytes of a file, out come its format and its size in pixels.  Nothing is decoded and
nothing is allocated, so a file that claims 50,000 x 50,000 pixels costs microseconds here.  Formats
are told by content: a file's name is not known.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from modelgenerator.datasets.iso_boxes import boxes


class PhotoFormat(StrEnum):
    """The formats that are read."""

    JPEG = "jpg"
    PNG = "png"
    WEBP = "webp"
    HEIC = "HEIC"
    AVIF = "AVIF"


@dataclass(frozen=True)
class PhotoHeader:
    """Format and size as stored in the file: EXIF orientation is not applied.

    A HEIC or AVIF file may hold several pictures and parts of pictures: the largest counts.
    """

    format: PhotoFormat
    width: int
    height: int


def photo_header(data: bytes) -> PhotoHeader | None:
    """The header of a photo that can be read, or none: something else, or it breaks off."""
    for format_, (is_format, size_of) in _READERS.items():
        if is_format(data):
            size = size_of(data)
            return PhotoHeader(format_, *size) if size else None
    return None


def format_name(data: bytes) -> str | None:
    """The name of what `data` looks like, `GIF` or `web page` say; none when it is not known.

    Those of `PhotoFormat` can be read.  A few hundred bytes from the beginning are enough.
    """
    for format_, (is_format, _) in _READERS.items():
        if is_format(data):
            return format_.value
    if data[4:8] == b"ftyp":
        return "video"
    for start, name in _STARTS.items():
        if data.startswith(start):
            return name
    text = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<script")):
        return "web page"
    if text.startswith(b"<svg") or (text.startswith(b"<?xml") and b"<svg" in text):
        return "SVG drawing"
    return None


_STARTS = {
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"BM": "BMP",
    b"%PDF": "PDF",
    b"8BPS": "Photoshop",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"PK\x03\x04": "zip archive",
    b"PK\x05\x06": "zip archive",
    b"Rar!\x1a\x07": "RAR archive",
    b"7z\xbc\xaf\x27\x1c": "7-Zip archive",
    b"\x1f\x8b": "gzip archive",
    b"MZ": "Windows program",
    b"\x7fELF": "Linux program",
}


def _is_png(data: bytes) -> bool:
    return data.startswith(b"\x89PNG\r\n\x1a\n")


def _png_size(data: bytes) -> tuple[int, int] | None:
    if len(data) < 24 or data[12:16] != b"IHDR":
        return None
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def _is_jpeg(data: bytes) -> bool:
    return data.startswith(b"\xff\xd8\xff")


# SOF0 to SOF15, without DHT (C4), JPG (C8) and DAC (CC), which sit in the same range.
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Walk from segment to segment until the frame header, which holds the size.

    Source: ITU-T T.81, annex B, https://www.w3.org/Graphics/JPEG/itu-t81.pdf
    """
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in _FRAME_MARKERS:
            height, width = data[at + 5 : at + 7], data[at + 7 : at + 9]
            return int.from_bytes(width, "big"), int.from_bytes(height, "big")
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _is_webp(data: bytes) -> bool:
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """The canvas of the extended form, else the one frame's size.

    Source: https://developers.google.com/speed/webp/docs/riff_container
    """
    if len(data) < 30:
        return None
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = data[24:27], data[27:30]
        return int.from_bytes(width, "little") + 1, int.from_bytes(height, "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = data[26:28], data[28:30]
        return int.from_bytes(width, "little") & 0x3FFF, int.from_bytes(height, "little") & 0x3FFF
    return None


def _brands(data: bytes) -> set[bytes]:
    """What a file of ISO base media says it is: HEIC, AVIF and films all begin like that."""
    if data[4:8] != b"ftyp":
        return set()
    box = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
    return {box[at : at + 4] for at in (0, *range(8, len(box) - 3, 4))}


def _is_avif(data: bytes) -> bool:
    return not _brands(data).isdisjoint((b"avif", b"avis"))


def _is_heic(data: bytes) -> bool:
    return not _is_avif(data) and not _brands(data).isdisjoint(_HEIC_BRANDS)


_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def _largest_in_iso(data: bytes) -> tuple[int, int] | None:
    """The largest of all sizes that the file's properties name.

    Source: ISO/IEC 23008-12 (HEIF), 6.5.3 `ispe`.
    """
    sizes = [
        (
            int.from_bytes(data[at + 4 : at + 8], "big"),
            int.from_bytes(data[at + 8 : at + 12], "big"),
        )
        for meta, meta_end in boxes(data, b"meta", 0, len(data))
        for iprp, iprp_end in boxes(data, b"iprp", meta + 4, meta_end)
        for ipco, ipco_end in boxes(data, b"ipco", iprp, iprp_end)
        for at, _ in boxes(data, b"ispe", ipco, ipco_end)
    ]
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


_READERS: dict[
    PhotoFormat, tuple[Callable[[bytes], bool], Callable[[bytes], tuple[int, int] | None]]
] = {
    PhotoFormat.JPEG: (_is_jpeg, _jpeg_size),
    PhotoFormat.PNG: (_is_png, _png_size),
    PhotoFormat.WEBP: (_is_webp, _webp_size),
    PhotoFormat.HEIC: (_is_heic, _largest_in_iso),
    PhotoFormat.AVIF: (_is_avif, _largest_in_iso),
}
