"""A person's photo as upright pixels, whatever their camera or their editor wrote.

In come the bytes of one file, out comes a `Photo`: 8-bit sRGB, turned as the camera was held, alpha
laid over white.  Files, folders and captions are not known here.
"""

import hashlib
import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

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
    """How opaque each pixel is, upright; none where the file does not say."""

    @property
    def width(self) -> int:
        return self.pixels_HW3.shape[1]

    @property
    def height(self) -> int:
        return self.pixels_HW3.shape[0]


def read_photo(data: bytes, *, name: str, limits: PhotoLimits | None = None) -> Photo:
    """Decode the file's bytes; `name` is only for messages.

    Raises:
        UnusablePhoto: not a jpg, png or webp, broken, too large, or too small.
    """
    header = _checked_header(data, name, limits or PhotoLimits())
    remarks: list[str] = []
    # Pillow warns about odd EXIF blocks and transparent palettes; both are handled below.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = _open(data, header)
            if getattr(image, "is_animated", False):
                remarks.append("it is animated, and only its first picture is used")
            upright = _upright(_srgb(image, remarks), _orientation(image))
        except _BROKEN as problem:
            raise UnusablePhoto(name, _reason_for_broken(header)) from problem
    pixels_HW3 = np.array(
        upright
    )  # a copy, because arrays that share Pillow's memory are read-only
    return Photo(name, pixels_HW3, hashlib.sha256(data).hexdigest(), tuple(remarks))


def read_grey(data: bytes, *, name: str, limits: PhotoLimits | None = None) -> NDArray[np.uint8]:
    """The shades of a grey picture as they are stored, `grey_HW`: neither turned nor converted.

    Raises:
        UnusablePhoto: as `read_photo`, or it has colours, or parts that can be seen through.
    """
    header = _checked_header(data, name, limits or PhotoLimits())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            shades, alpha = _colours_and_alpha(_open(data, header))
        except _BROKEN as problem:
            raise UnusablePhoto(name, _reason_for_broken(header)) from problem
    if alpha is not None and np.asarray(alpha).min() < 255:
        raise UnusablePhoto(name, "parts of it are transparent: save it grey, without transparency")
    shades_HW3 = np.asarray(shades.convert("RGB"))
    grey_HW = np.ascontiguousarray(shades_HW3[..., 0])
    if np.any(shades_HW3 != grey_HW[..., None]):
        raise UnusablePhoto(name, "it has colours: save it as a grey picture")
    return grey_HW


# What Pillow raises on bytes that break off or contradict themselves.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)


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


def _reason_for_no_header(data: bytes) -> str:
    found = format_name(data)
    if found == "HEIC":
        return (
            "it is a HEIC photo, which cannot be read: export it as jpg "
            "(on an iPhone: Settings, Camera, Formats, Most Compatible)"
        )
    if found in set(PhotoFormat):
        return f"the {found} file breaks off at its beginning: copy it again from where it came"
    if found is not None:
        return f"it is a {found}, which cannot be used: save it as jpg, png or webp"
    return "it is not a jpg, png or webp picture"


def _reason_for_broken(header: PhotoHeader) -> str:
    return (
        f"the {header.format} file is damaged or breaks off before its end: "
        "copy it again from where it came"
    )


def _open(data: bytes, header: PhotoHeader) -> ImageFile:
    """Open with the one reader that fits.

    Not through `Image.open`: that has its own, smaller limit on pixels with its own warnings, and
    `PhotoLimits` is the one that counts here.
    """
    readers = {
        PhotoFormat.JPEG: JpegImageFile,
        PhotoFormat.PNG: PngImageFile,
        PhotoFormat.WEBP: WebPImageFile,
    }
    image = readers[header.format](io.BytesIO(data))
    if image.size != (header.width, header.height):
        raise ValueError("two sizes in one file")
    image.load()
    return image


def _orientation(image: ImageFile) -> int:
    """EXIF tag 0x0112, 1 to 8; 1, upright, when it is absent or the block is damaged."""
    try:
        value: Any = image.getexif().get(0x0112, 1)
    except _BROKEN:
        return 1
    return value if value in _TURNS else 1


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


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = _TURNS[orientation]
    return image if turn is None else image.transpose(turn)


def _srgb(image: ImageFile, remarks: list[str]) -> Image.Image:
    """8-bit sRGB without alpha; what could not be honoured is added to `remarks`."""
    colours, alpha = _colours_and_alpha(image)
    profile: bytes | None = image.info.get("icc_profile")
    rgb = _converted(colours, profile, remarks) if profile else colours.convert("RGB")
    if alpha is None:
        return rgb
    white = Image.new("RGB", rgb.size, (255, 255, 255))
    return Image.composite(rgb, white, alpha)


def _colours_and_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """An image in mode L, RGB or CMYK, and how opaque it is where the file says so."""
    if image.mode.startswith("I"):  # 16-bit grey; Pillow's own conversion clips at 255
        grey_HW = np.asarray(image).astype(np.uint32)
        return Image.fromarray(((grey_HW * 255 + 32767) // 65535).astype(np.uint8)), None
    if image.has_transparency_data:
        grey = image.mode in ("1", "L", "LA")
        both = image.convert("LA" if grey else "RGBA")
        return both.convert("L" if grey else "RGB"), both.getchannel("A")
    if image.mode == "1":
        return image.convert("L"), None
    return (image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")), None


_MODE_OF_PROFILE = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}


def _converted(colours: Image.Image, icc: bytes, remarks: list[str]) -> Image.Image:
    """`colours` brought from the embedded profile to sRGB."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        inner: Any = profile.profile  # Pillow's annotation is wider than what it holds
        mode = _MODE_OF_PROFILE.get(inner.xcolor_space.strip())
        if ImageCms.getProfileDescription(profile).startswith("sRGB"):
            return colours.convert("RGB")  # nothing to convert, and rounding would change pixels
        if colours.mode == "L" and mode == "RGB":
            colours = colours.convert("RGB")
        if colours.mode == mode:
            srgb = ImageCms.createProfile("sRGB")
            done = ImageCms.profileToProfile(colours, profile, srgb, outputMode="RGB")
            if done is not None:
                return done
    except (ImageCms.PyCMSError, *_BROKEN):
        pass
    remarks.append("its colour profile cannot be read, so its colours are taken as sRGB")
    return colours.convert("RGB")
