"""A person's photo as upright pixels, whatever their camera or their editor wrote.

In come the bytes of one file, out comes a `Photo`: 8-bit sRGB, turned as the camera was held, alpha
laid over white; and back, as bytes that hold the pixels and nothing else.  Files, folders and
captions are not known here.
"""

import hashlib
import io
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile

from modelgenerator.datasets.colours import colours_and_alpha, over_white, srgb_and_alpha
from modelgenerator.datasets.decoding import BROKEN, decoded
from modelgenerator.datasets.headers import PhotoFormat, PhotoHeader, format_name, photo_header
from modelgenerator.errors import UnusablePhoto


@dataclass(frozen=True)
class PhotoLimits:
    """What a photo may cost at most, and what it must show at least."""

    max_bytes: int = 100_000_000
    max_pixels: int = 100_000_000
    min_side: int = 16
    """Pixels."""


@dataclass(frozen=True, eq=False)
class Photo:
    """One photo, decoded."""

    name: str
    pixels_HW3: NDArray[np.uint8]
    """sRGB, 0 to 255, upright."""
    sha256: str
    """Of the file's bytes, in hexadecimal."""
    remarks: tuple[str, ...] = ()
    """What was decided while reading that a person may want to know, as sentences' ends."""
    alpha_HW: NDArray[np.uint8] | None = None
    """How opaque each place is, 0 to 255, upright; none when the file has no transparency."""

    @property
    def width(self) -> int:
        return self.pixels_HW3.shape[1]

    @property
    def height(self) -> int:
        return self.pixels_HW3.shape[0]


def read_photo(data: bytes, *, name: str, limits: PhotoLimits | None = None) -> Photo:
    """Decode the file's bytes; `name` is only for messages.

    Raises:
        UnusablePhoto: no photo, broken, too large, or too small.
    """
    header = _checked_header(data, name, limits or PhotoLimits())
    remarks = list(_about_shape(header))
    # Pillow warns about odd EXIF blocks and transparent palettes; both are handled.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = decoded(data, header, remarks)
            turn = _TURNS[_orientation(image)]
            rgb, alpha = srgb_and_alpha(image, remarks)
            del image  # a large photo is held as often as it must be
        except BROKEN as problem:
            raise UnusablePhoto(name, _reason_for_broken(header)) from problem
    alpha_HW = None
    if alpha is not None:
        rgb, alpha_HW = over_white(rgb, alpha), _array(alpha, turn)
    sha256 = hashlib.sha256(data).hexdigest()
    return Photo(name, _array(rgb, turn), sha256, tuple(remarks), alpha_HW)


def encode_photo(photo: Photo) -> bytes:
    """The photo as a file that holds its pixels and nothing else, no name, place or time.

    `read_photo` gives the same pixels and the same `alpha_HW` back.  Lossless webp, which is
    smaller than png at the same speed; png for sides that webp cannot have.
    """
    pixels_HWC = photo.pixels_HW3
    if photo.alpha_HW is not None:
        colours_HW3 = _BENEATH_WHITE[photo.alpha_HW[..., None], photo.pixels_HW3]
        pixels_HWC = np.dstack([colours_HW3, photo.alpha_HW])
    image, stream = Image.fromarray(pixels_HWC), io.BytesIO()
    if max(image.size) <= _WEBP_SIDE:
        image.save(stream, "WEBP", lossless=True, quality=0, method=0, exact=True)
    else:
        image.save(stream, "PNG", compress_level=1)
    return stream.getvalue()


_WEBP_SIDE = 16_383


def _beneath_white() -> NDArray[np.uint8]:
    """By alpha and by what it looks like over white: a colour that looks like that.

    Over white, c becomes round(255 - (255 - c) * alpha / 255).  Backwards, the rounding of c moves
    that by less than a half, so that it is rounded to the same.
    """
    alpha_A1 = np.arange(256)[:, None]
    darkness_V = 255 - np.arange(256)
    colour_AV = 255 - darkness_V * 255 / np.maximum(alpha_A1, 1)
    return np.rint(colour_AV.clip(0, 255)).astype(np.uint8)


_BENEATH_WHITE = _beneath_white()


def read_grey(data: bytes, *, name: str, limits: PhotoLimits | None = None) -> NDArray[np.uint8]:
    """The shades of a grey picture as they are stored, `grey_HW`: neither turned nor converted.

    Raises:
        UnusablePhoto: as `read_photo`, or it has colours, or parts that can be seen through.
    """
    header = _checked_header(data, name, limits or PhotoLimits())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            shades, alpha = colours_and_alpha(decoded(data, header, []))
        except BROKEN as problem:
            raise UnusablePhoto(name, _reason_for_broken(header)) from problem
    if alpha is not None and np.asarray(alpha).min() < 255:
        raise UnusablePhoto(name, "parts of it are transparent: save it grey, without transparency")
    shades_HW3 = np.asarray(shades.convert("RGB"))
    grey_HW = np.ascontiguousarray(shades_HW3[..., 0])
    if np.any(shades_HW3 != grey_HW[..., None]):
        raise UnusablePhoto(name, "it has colours: save it as a grey picture")
    return grey_HW


def _checked_header(data: bytes, name: str, limits: PhotoLimits) -> PhotoHeader:
    if not data:
        raise UnusablePhoto(name, "the file is empty")
    check_bytes(len(data), name, limits)
    header = photo_header(data)
    if header is None:
        raise UnusablePhoto(name, _reason_for_no_header(data))
    size = f"{header.width:,} x {header.height:,} pixels"
    if header.width * header.height > limits.max_pixels:
        most = limits.max_pixels / 1e6
        raise UnusablePhoto(name, f"it has {size}, more than the {most:g} megapixels allowed")
    if min(header.width, header.height) < limits.min_side:
        least = limits.min_side
        raise UnusablePhoto(name, f"it has only {size}; each side needs at least {least}")
    return header


def check_bytes(count: int, name: str, limits: PhotoLimits) -> None:
    """Refuse a file by its length alone, so that a long one need not be read.

    Raises:
        UnusablePhoto: longer than `limits.max_bytes`.
    """
    if count > limits.max_bytes:
        size, most = f"{count / 1e6:,.0f} MB", f"{limits.max_bytes / 1e6:g} MB"
        raise UnusablePhoto(name, f"the file has {size}, more than the {most} allowed")


def _about_shape(header: PhotoHeader) -> tuple[str, ...]:
    shorter, longer = sorted((header.width, header.height))
    if longer <= _LONGEST_SHAPE * shorter:
        return ()
    return (f"it is {longer / shorter:.0f} times as long as wide, so most of it is cut away",)


_LONGEST_SHAPE = 4
"""Times as long as wide; pictures are trained in shapes up to 4 : 1."""


def _reason_for_no_header(data: bytes) -> str:
    found = format_name(data)
    if found in set(PhotoFormat):
        return f"the {found} file breaks off at its beginning: copy it again from where it came"
    if found is not None:
        article = "an" if found.startswith("SVG") else "a"
        return f"it is {article} {found}, which cannot be used: save it as jpg, png or webp"
    return "it is not a jpg, png or webp picture"


def _reason_for_broken(header: PhotoHeader) -> str:
    if header.format == PhotoFormat.HEIC:
        return (
            "the HEIC file is damaged, or of a kind that is not read: export it as jpg "
            "(on an iPhone: Settings, Camera, Formats, Most Compatible)"
        )
    return (
        f"the {header.format} file is damaged or breaks off before its end: "
        "copy it again from where it came"
    )


def _orientation(image: ImageFile) -> int:
    """EXIF tag 0x0112, 1 to 8; 1, upright, when it is absent or the block is damaged."""
    try:
        value: Any = image.getexif().get(0x0112, 1)
        return value if value in _TURNS else 1
    except BROKEN:
        return 1


_TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _array(image: Image.Image, turn: Image.Transpose | None) -> NDArray[np.uint8]:
    # a copy, because arrays that share Pillow's memory are read-only
    return np.array(image if turn is None else image.transpose(turn))
