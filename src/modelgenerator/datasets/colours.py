"""From the colours of a camera, an editor or a printer to 8-bit sRGB.

In comes a decoded image with whatever mode, profile and transparency it has, out come an RGB image
and how opaque it is.  Files and orientation are not known here.
"""

import io
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from modelgenerator.datasets.decoding import BROKEN


def srgb_and_alpha(
    image: Image.Image, remarks: list[str]
) -> tuple[Image.Image, Image.Image | None]:
    """RGB, and mode L if any of it can be seen through; remarks say what was not honoured."""
    colours, alpha = colours_and_alpha(image)
    if alpha is not None and alpha.getextrema() == (255, 255):
        alpha = None
    profile: bytes | None = image.info.get("icc_profile")
    if profile:
        return _converted(colours, profile, remarks), alpha
    if colours.mode == "CMYK":
        remarks.append("it has print colours (CMYK) and no profile, so its colours are a guess")
    return colours.convert("RGB"), alpha


def colours_and_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """An image in mode L, RGB or CMYK, and how opaque it is where the file says so."""
    if image.mode.startswith("I"):
        return _from_16_bits(image)
    if image.has_transparency_data:
        grey = image.mode in ("1", "L", "LA")
        both = image.convert("LA" if grey else "RGBA")
        return both.convert("L" if grey else "RGB"), both.getchannel("A")
    if image.mode == "1":
        return image.convert("L"), None
    return (image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")), None


def _from_16_bits(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Grey of 16 bits, which Pillow itself would clip at 255; one shade may be see-through."""
    shades_HW = np.asarray(image).astype(np.uint32)
    grey = Image.fromarray(((shades_HW * 255 + 32767) // 65535).astype(np.uint8))
    clear: Any = image.info.get("transparency")
    if not isinstance(clear, int):
        return grey, None
    return grey, Image.fromarray(np.where(shades_HW == clear, 0, 255).astype(np.uint8))


def over_white(rgb: Image.Image, alpha: Image.Image) -> Image.Image:
    white = Image.new("RGB", rgb.size, (255, 255, 255))
    white.paste(rgb, mask=alpha)
    return white


_MODE_OF_PROFILE = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}


def _converted(colours: Image.Image, icc: bytes, remarks: list[str]) -> Image.Image:
    """`colours` brought from the embedded profile to sRGB."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        inner: Any = profile.profile  # Pillow's annotation is wider than what it holds
        mode = _MODE_OF_PROFILE.get(inner.xcolor_space.strip())
        if colours.mode != "CMYK" and ImageCms.getProfileDescription(profile).startswith("sRGB"):
            return colours.convert("RGB")  # nothing to convert, and rounding would change pixels
        if colours.mode == "L" and mode == "RGB":
            colours = colours.convert("RGB")
        if colours.mode == mode:
            srgb = ImageCms.createProfile("sRGB")
            done = ImageCms.profileToProfile(colours, profile, srgb, outputMode="RGB")
            if done is not None:
                return done
    except (ImageCms.PyCMSError, *BROKEN):
        pass
    remarks.append("its colour profile cannot be read, so its colours are taken as sRGB")
    return colours.convert("RGB")
