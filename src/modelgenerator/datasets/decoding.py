"""One reader for each format, and nothing read that is not a picture.

In come the bytes of a file whose header was read, out comes Pillow's image of its first picture,
decoded.  Colours, alpha and orientation are left as they are.
"""

import io
import struct
import zlib
from collections.abc import Callable, Iterator

from pi_heif import HeifImageFile  # pyright: ignore[reportMissingTypeStubs]
from PIL.AvifImagePlugin import AvifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from modelgenerator.datasets.headers import PhotoFormat, PhotoHeader
from modelgenerator.datasets.iso_boxes import boxes

BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, ArithmeticError),
    *(RuntimeError, struct.error, zlib.error),
)
"""What Pillow and its readers raise on bytes that break off or contradict themselves."""


def decoded(data: bytes, header: PhotoHeader, remarks: list[str]) -> ImageFile:
    """Decode with the one reader that fits; what was left away is added to `remarks`.

    Not through `Image.open`: that has its own, smaller limit on pixels with its own warnings, and
    tries one reader after the other.

    Raises:
        One of `BROKEN`, or MemoryError.
    """
    if header.format == PhotoFormat.PNG:
        data = _png_without_words(data, remarks)
    if header.format == PhotoFormat.HEIC:
        data = _heic_without_words(data)
    image = _READERS[header.format](io.BytesIO(data))
    _check_size(image, header)
    if getattr(image, "is_animated", False):
        remarks.append(_ABOUT_SEVERAL[header.format])
    image.load()
    _check_size(image, header)  # some readers learn it while they decode
    return image


# A jpg of several, as phones write it, begins with the photo and goes on with its depth or a
# brighter copy: its reader stops after the first.
_READERS: dict[PhotoFormat, Callable[[io.BytesIO], ImageFile]] = {
    PhotoFormat.JPEG: JpegImageFile,
    PhotoFormat.PNG: PngImageFile,
    PhotoFormat.WEBP: WebPImageFile,
    PhotoFormat.HEIC: HeifImageFile,
    PhotoFormat.AVIF: AvifImageFile,
}
_ABOUT_SEVERAL = dict.fromkeys(
    PhotoFormat, "it is animated, and only its first picture is used"
) | {PhotoFormat.HEIC: "it holds several pictures, and only the main one is used"}


def _check_size(image: ImageFile, header: PhotoHeader) -> None:
    """A second, other size in the file was not checked against anything."""
    if header.format in (PhotoFormat.HEIC, PhotoFormat.AVIF):  # may be cut or turned already
        if image.width * image.height > header.width * header.height:
            raise ValueError("larger than the file says")
    elif image.size != (header.width, header.height):
        raise ValueError("two sizes in one file")


_LARGEST_PROFILE = 1_000_000
"""Bytes, as Pillow has it; real colour profiles of photos have a few hundred to 600,000."""
_WORDS = (b"tEXt", b"zTXt", b"iTXt")
_MOST_CHUNKS = 200_000


def _png_without_words(png: bytes, remarks: list[str]) -> bytes:
    """Without text, which may be packed a thousandfold, and without a colour profile like that.

    Source: PNG (third edition), 11.3.3, https://www.w3.org/TR/png-3/
    """
    kept: list[bytes] = [png[:8]]
    for kind, chunk in _chunks(png):
        if kind == b"iCCP" and _is_too_long(chunk):
            remarks.append("its colour profile is too long, so its colours are taken as sRGB")
        elif kind not in _WORDS:
            kept.append(chunk)
        if len(kept) > _MOST_CHUNKS:
            raise ValueError("chopped into pieces that no program writes")
    return b"".join(kept)


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and bytes of each chunk; the last one may break off."""
    at = 8
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big") + 12
        yield png[at + 4 : at + 8], png[at : at + length]
        if png[at + 4 : at + 8] == b"IEND":
            return
        at += length


def _is_too_long(chunk: bytes) -> bool:
    """Whether a profile unfolds to more than it may; damaged ones are found by who reads them."""
    _name, _, packed = chunk[8:-4].partition(b"\0")
    try:
        inflater = zlib.decompressobj()
        return len(inflater.decompress(packed[1:], _LARGEST_PROFILE + 1)) > _LARGEST_PROFILE
    except zlib.error:
        return False


def _heic_without_words(heic: bytes) -> bytes:
    """With the same pictures, of which it is no more said that EXIF and XMP describe them.

    How they are turned is said elsewhere.  pi-heif 1.4 ends the process at a description whose
    kind is not UTF-8.

    Source: ISO/IEC 23008-12 (HEIF), 6.4.2 and A.2: `cdsc` leads from a description to its picture.
    """
    kept = bytearray(heic)
    for meta, meta_end in boxes(heic, b"meta", 0, len(heic)):
        for iref, iref_end in boxes(heic, b"iref", meta + 4, meta_end):
            for at, _ in boxes(heic, b"cdsc", iref + 4, iref_end):
                kept[at - 4 : at] = b"skip"
    return bytes(kept)
