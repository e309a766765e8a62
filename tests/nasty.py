"""Files that strangers upload, by accident or on purpose, and what becomes of each.

`PHOTOS` are files for a folder, `ARCHIVES` are given as they are.  Each is made when it is asked
for, none is large, and each says its outcome: `accepted`, `remarked` (accepted, and something is
said about it) or `refused`, with words that must be said.
"""

import io
import struct
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import cv2
import numpy as np
from PIL import Image, ImageCms
from skimage import data as photographs
from tests import heic_photos
from tests.nasty_zips import Member, zip_of


@dataclass(frozen=True)
class Nasty:
    name: str
    make: Callable[[], bytes]
    outcome: Literal["accepted", "remarked", "refused"]
    says: str = ""
    is_bomb: bool = False
    """It would need far more memory than it has bytes."""


def photo(width: int = 64, height: int = 48) -> Image.Image:
    return Image.fromarray(photographs.astronaut()[:height, :width])


def encoded(image: Image.Image, format_: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format_, **options)
    return stream.getvalue()


jpg = partial(encoded, photo(), "JPEG")
png = partial(encoded, photo(), "PNG")
webp = partial(encoded, photo(), "WEBP")
avif = partial(encoded, photo(), "AVIF")


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]


# --- jpg


def _frame(width: int, height: int) -> bytes:
    """A jpg's segment that says its size."""
    body = struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0"
    return b"\xff\xc0" + struct.pack(">H", len(body) + 2) + body


def _before_frame(inserted: bytes) -> bytes:
    data = jpg()
    at = data.index(b"\xff\xc0")
    return data[:at] + inserted + data[at:]


def _after_frame(inserted: bytes) -> bytes:
    data = jpg()
    at = data.index(b"\xff\xc4")
    return data[:at] + inserted + data[at:]


def _cmyk(transform: int) -> bytes:
    """In print colours, inverted as Adobe does; 2 is YCCK, where they are brightness and colour."""
    data = bytearray(encoded(photo().convert("CMYK"), "JPEG"))
    data[data.index(b"Adobe") + 11] = transform
    return bytes(data)


def _several_in_a_jpg() -> bytes:
    return encoded(photo(), "MPO", save_all=True, append_images=[photo()])


def _turned(format_: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(photo(), format_, exif=exif)


def _with_place() -> bytes:
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (47.0, 22.0, 0.0)})
    return jpg(exif=exif, comment=b"mine")


# --- png


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _head(width: int, height: int, depth: int = 8, colours: int = 2) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0))


def _before_pixels(inserted: bytes) -> bytes:
    data = png()
    at = data.index(b"IDAT") - 4
    return data[:at] + inserted + data[at:]


def _packed_zeros(count: int) -> bytes:
    packer = zlib.compressobj(9)
    piece = bytes(10**6)
    return b"".join(packer.compress(piece) for _ in range(count // 10**6)) + packer.flush()


def _bomb_png() -> bytes:
    """Well-formed: 20,000 x 20,000 black pixels of one bit in 50 kB."""
    pixels = chunk(b"IDAT", _packed_zeros(51_000_000))
    return b"\x89PNG\r\n\x1a\n" + _head(20_000, 20_000, 1, 0) + pixels + chunk(b"IEND", b"")


def _profile(kind: Literal["RGB", "GRAY", "LAB"]) -> bytes:
    made = ImageCms.createProfile("LAB" if kind == "LAB" else "sRGB")
    icc = ImageCms.ImageCmsProfile(made).tobytes()
    return icc.replace("sRGB".encode("utf-16-be"), "ours".encode("utf-16-be"))


def _of_16_bits(channels: int) -> bytes:
    shades = np.random.default_rng(0).integers(0, 65536, (48, 64, channels), np.uint16)
    return cv2.imencode(".png", shades)[1].tobytes()


def _moving(format_: str, count: int) -> bytes:
    frames = [Image.new("RGB", (64, 48), (90 * number % 256, number, 0)) for number in range(count)]
    return encoded(frames[0], format_, save_all=True, append_images=frames[1:])


def _bits_flipped() -> bytes:
    data = bytearray(png())
    data[len(data) // 2] ^= 0xFF
    return bytes(data)


# --- webp, HEIC, AVIF


def _webp_with_small_canvas() -> bytes:
    data = bytearray(_moving("WEBP", 2))
    data[24:30] = (31).to_bytes(3, "little") + (31).to_bytes(3, "little")
    return bytes(data)


def _without_a_clock() -> bytes:
    """Its pictures follow each other after n zeroths of a second."""
    data = bytearray(_moving("AVIF", 3))
    at = data.index(b"mdhd") + 4
    clock = at + (20 if data[at] == 1 else 12)
    data[clock : clock + 4] = bytes(4)
    return bytes(data)


def _saying(data: bytes, width: int, height: int) -> bytes:
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", width, height) + data[at + 8 :]


WEBP_HEAD = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0"
_DAMAGED = "damaged or breaks off"

PHOTOS = [
    # what cameras, phones and editors write
    Nasty("plain.jpg", jpg, "accepted"),
    Nasty("progressive.jpg", partial(jpg, progressive=True), "accepted"),
    Nasty("grey.jpg", partial(encoded, photo().convert("L"), "JPEG"), "accepted"),
    Nasty("adobe-cmyk.jpg", partial(_cmyk, 0), "remarked", "print colours (CMYK)"),
    Nasty("adobe-ycck.jpg", partial(_cmyk, 2), "remarked", "print colours (CMYK)"),
    Nasty("phone.mpo", _several_in_a_jpg, "accepted"),
    Nasty("phone.jpg", _several_in_a_jpg, "accepted"),
    Nasty("turned.jpg", partial(_turned, "JPEG"), "accepted"),
    Nasty("turned.png", partial(_turned, "PNG"), "accepted"),
    Nasty("turned.webp", partial(_turned, "WEBP"), "accepted"),
    Nasty("place.jpg", _with_place, "accepted"),
    Nasty("16-bit-grey.png", partial(_of_16_bits, 1), "accepted"),
    Nasty("16-bit-rgb.png", partial(_of_16_bits, 3), "accepted"),
    Nasty("16-bit-rgba.png", partial(_of_16_bits, 4), "accepted"),
    Nasty("1-bit.png", partial(encoded, photo().convert("1"), "PNG"), "accepted"),
    Nasty(
        "palette.png",
        partial(encoded, photo().convert("P"), "PNG", transparency=bytes([0, 128])),
        "accepted",
    ),
    Nasty("grey-alpha.png", partial(encoded, photo().convert("LA"), "PNG"), "accepted"),
    Nasty("moving.png", partial(_moving, "PNG", 5), "remarked", "it is animated"),
    Nasty("moving.webp", partial(_moving, "WEBP", 200), "remarked", "it is animated"),
    Nasty("moving.avif", partial(_moving, "AVIF", 3), "remarked", "it is animated"),
    Nasty("photo.heic", lambda: heic_photos.PLAIN, "accepted"),
    Nasty("turned.heic", lambda: heic_photos.TURNED, "accepted"),
    Nasty("deep.heic", lambda: heic_photos.TEN_BIT, "accepted"),
    Nasty("burst.heic", lambda: heic_photos.TWO, "remarked", "the main one"),
    Nasty("photo.avif", avif, "accepted"),
    Nasty("panorama.jpg", partial(encoded, photo(320, 20), "JPEG"), "remarked", "16 times"),
    # under another name
    Nasty("png.jpg", png, "accepted"),
    Nasty("webp.png", webp, "accepted"),
    Nasty("heic.jpg", lambda: heic_photos.PLAIN, "accepted"),
    Nasty("photo", jpg, "accepted"),
    Nasty("-rf.jpg", jpg, "accepted"),
    Nasty("x" * 240 + ".jpg", jpg, "accepted"),
    Nasty("👩‍🎤 שלום.jpg", jpg, "accepted"),
    Nasty("line\nbreak\x1b[2J.jpg", jpg, "accepted"),
    # two things in one file: the photo counts, the rest is left
    Nasty("zip-behind.jpg", lambda: jpg() + zip_of([Member(b"a", b"b")]), "accepted"),
    Nasty("page-behind.png", lambda: png() + b"<script>alert(1)</script>", "accepted"),
    Nasty("script-in-words.jpg", partial(jpg, comment=b"*/alert(1)/*"), "accepted"),
    # what is said beside the pixels
    Nasty("profile.png", partial(png, icc_profile=_profile("RGB")), "accepted"),
    Nasty("profile-lab.png", partial(png, icc_profile=_profile("LAB")), "remarked", "profile"),
    Nasty("profile-broken.jpg", partial(jpg, icc_profile=b"?" * 300), "remarked", "profile"),
    Nasty(
        "profile-bomb.png",
        lambda: _before_pixels(chunk(b"iCCP", b"a\0\0" + _packed_zeros(100_000_000))),
        "remarked",
        "profile is too long",
        is_bomb=True,
    ),
    Nasty(
        "words-bomb.png",
        lambda: _before_pixels(chunk(b"zTXt", b"a\0\0" + _packed_zeros(100_000_000))),
        "accepted",
        is_bomb=True,
    ),
    Nasty(
        "words-bombs.png",
        lambda: _before_pixels(100 * chunk(b"iTXt", b"a\0\1\0\0\0" + _packed_zeros(1_000_000))),
        "accepted",
        is_bomb=True,
    ),
    Nasty(  # ended the process that read it
        "words-of-no-kind.heic",
        lambda: heic_photos.PLAIN.replace(b"Exif\0", b"E\xffif\0", 1),
        "accepted",
    ),
    # not photos
    Nasty("empty.jpg", lambda: b"", "refused", "the file is empty"),
    Nasty("byte.jpg", lambda: b"\xff", "refused", "not a jpg"),
    Nasty("text.jpg", lambda: b"these are words", "refused", "not a jpg"),
    Nasty("page.jpg", lambda: b"<!DOCTYPE html><p>404", "refused", "a web page"),
    Nasty("drawing.jpg", lambda: b"<svg onload='alert(1)'/>", "refused", "an SVG drawing"),
    Nasty("program.jpg", lambda: b"MZ\x90\0" + bytes(99), "refused", "Windows program"),
    Nasty("elf.png", lambda: b"\x7fELF" + bytes(99), "refused", "Linux program"),
    Nasty("gif.jpg", partial(encoded, photo().convert("P"), "GIF"), "refused", "a GIF"),
    Nasty("tiff.jpg", partial(encoded, photo(), "TIFF"), "refused", "a TIFF"),
    Nasty("bmp.png", partial(encoded, photo(), "BMP"), "refused", "a BMP"),
    Nasty("pdf.jpg", lambda: b"%PDF-1.7\n" + bytes(99), "refused", "a PDF"),
    Nasty("film.heic", lambda: b"\0\0\0\x18ftypisom" + bytes(99), "refused", "a video"),
    Nasty("zip.jpg", lambda: zip_of([Member(b"a.jpg", b"b")]), "refused", "a zip archive"),
    # photos that break off or contradict themselves
    Nasty("half.jpg", lambda: _half(jpg()), "refused", _DAMAGED),
    Nasty("half.png", lambda: _half(png()), "refused", _DAMAGED),
    Nasty("half.webp", lambda: _half(webp()), "refused", _DAMAGED),
    Nasty("half.avif", lambda: _half(avif()), "refused", _DAMAGED),
    Nasty("half.heic", lambda: heic_photos.PLAIN[:-300], "refused", "export it as jpg"),
    Nasty("beginning.jpg", lambda: jpg()[:30], "refused", "breaks off at its beginning"),
    Nasty("flipped.png", _bits_flipped, "refused", _DAMAGED),
    Nasty("two-sizes.jpg", lambda: _after_frame(_frame(9000, 9000)), "refused", _DAMAGED),
    Nasty("two-heads.png", lambda: _before_pixels(_head(9000, 9000)), "refused", _DAMAGED),
    Nasty("small-canvas.webp", _webp_with_small_canvas, "refused", _DAMAGED),
    Nasty("clockless.avif", _without_a_clock, "refused", _DAMAGED),
    Nasty("larger.heic", lambda: _saying(heic_photos.PLAIN, 32, 32), "refused", "damaged"),
    Nasty("crumbs.png", lambda: _before_pixels(chunk(b"zzZz", b"") * 300_000), "refused", _DAMAGED),
    # too small, too large
    Nasty("dot.png", partial(encoded, photo(1, 1), "PNG"), "refused", "only 1 x 1 pixels"),
    Nasty("thread.png", partial(encoded, photo(400, 5), "PNG"), "refused", "only 400 x 5 pixels"),
    Nasty("bomb.png", _bomb_png, "refused", "20,000 x 20,000 pixels", is_bomb=True),
    Nasty(
        "bomb.jpg",
        lambda: _before_frame(_frame(50_000, 50_000)),
        "refused",
        "50,000 x 50,000 pixels",
        is_bomb=True,
    ),
    Nasty(
        "bomb.webp",
        lambda: WEBP_HEAD + (16_000).to_bytes(3, "little") * 2,
        "refused",
        "16,001 x 16,001 pixels",
        is_bomb=True,
    ),
    Nasty(
        "bomb.heic",
        lambda: _saying(heic_photos.PLAIN, 50_000, 50_000),
        "refused",
        "50,000 x 50,000 pixels",
        is_bomb=True,
    ),
    Nasty(
        "bomb.avif",
        lambda: _saying(avif(), 50_000, 50_000),
        "refused",
        "50,000 x 50,000 pixels",
        is_bomb=True,
    ),
]


# --- archives


def _zip(*names: bytes, also: Iterable[Member] = ()) -> bytes:
    """One with a photo of each name, no two photos alike, and what else is given."""
    photos = [Member(name, png(), flags=0) for name in names]
    different = [
        Member(one.name, encoded(photo(64, 48 + number), "PNG"))
        for number, one in enumerate(photos)
    ]
    return zip_of([*different, *also])


def _nested(depth: int) -> bytes:
    data = png()
    for _ in range(depth):
        data = zip_of([Member(b"%d.zip" % number, data) for number in range(3)])
    return data


ARCHIVES = [
    Nasty("plain.zip", partial(_zip, b"a.png", b"b.png"), "accepted"),
    Nasty("no-ending", partial(_zip, b"a.png"), "accepted"),
    Nasty("folders.zip", partial(_zip, b"me/a.png", b"me/sea/a.png", b"me/b.png"), "accepted"),
    Nasty("slip.zip", partial(_zip, b"../../etc/a.png", b"..\\..\\b.png"), "accepted"),
    Nasty("roots.zip", partial(_zip, b"/etc/a.png", b"C:\\Windows\\b.png"), "accepted"),
    Nasty("nul.zip", partial(_zip, b"a.png\0.exe", b"b.png"), "accepted"),
    Nasty("cases.zip", partial(_zip, b"A.png", b"a.png", b"CON.png"), "accepted"),
    Nasty("long.zip", partial(_zip, b"x" * 60_000 + b".png"), "accepted"),
    Nasty("encodings.zip", partial(_zip, "é.png".encode(), "ü.png".encode("cp437")), "accepted"),
    Nasty(
        "macos.zip",
        partial(
            _zip, b"a.png", also=[Member(b"__MACOSX/._a.png", b"x"), Member(b".DS_Store", b"x")]
        ),
        "accepted",
    ),
    Nasty(
        "zip-inside.zip",
        partial(_zip, b"a.png", also=[Member(b"inner.zip", zip_of([]))]),
        "remarked",
        "not used: inner.zip",
    ),
    Nasty("only-zips.zip", partial(_nested, 4), "refused", "only 0.zip, 1.zip and 2.zip"),
    Nasty(
        "link.zip",
        partial(_zip, b"a.png", also=[Member(b"b.png", b"/etc/passwd", mode=0o120777)]),
        "remarked",
        "it is a link",
    ),
    Nasty(
        "partly-locked.zip",
        partial(_zip, b"a.png", also=[Member(b"b.png", b"?", flags=1)]),
        "remarked",
        "locked with a password",
    ),
    Nasty(
        "wrong-sum.zip",
        partial(_zip, b"a.png", also=[Member(b"b.png", b"?", crc=1)]),
        "remarked",
        "damaged inside the zip archive",
    ),
    Nasty(
        "lzma.zip",
        partial(_zip, b"a.png", also=[Member(b"b.png", b"?", method=14)]),
        "remarked",
        "ordinary method, Deflate",
    ),
    Nasty(
        "bomb.zip",
        lambda: _zip(b"a.png", also=[Member(b"b.png", bytes(90_000_000))]),
        "remarked",
        "as a zip bomb does",
        is_bomb=True,
    ),
    Nasty(
        "lying-bomb.zip",
        lambda: _zip(b"a.png", also=[Member(b"b.png", bytes(100_000_000), promised=5000)]),
        "remarked",
        "damaged inside the zip archive",
        is_bomb=True,
    ),
    Nasty(
        "overlapping-bomb.zip",
        lambda: zip_of(
            [
                Member(b"0.png", bytes(9_000_000)),
                *(
                    Member(b"%d.png" % number, b"", promised=9_000_000, same_place_as_first=True)
                    for number in range(1, 99)
                ),
            ]
        ),
        "refused",
        "lie over each other",
        is_bomb=True,
    ),
    Nasty(
        "many.zip",
        lambda: zip_of([Member(b"%d.png" % number, b"") for number in range(10_001)]),
        "refused",
        "more than the 10,000 files",
    ),
    Nasty(
        "promises.zip",
        lambda: zip_of([Member(b"%d.png" % n, b"", promised=4 * 10**9) for n in range(20)]),
        "refused",
        "80 GB, more than the 50 GB",
    ),
    Nasty(
        "locked.zip",
        lambda: zip_of([Member(b"a.png", png(), flags=1)]),
        "refused",
        "locked with a password",
    ),
    Nasty(
        "part.zip",
        lambda: zip_of([Member(b"a.png", png(), disk=1)]),
        "refused",
        "one part of several",
    ),
    Nasty("last-part.zip", lambda: bytes(500), "refused", "one part of several"),
    Nasty("half.zip", lambda: _zip(b"a.png")[:-30], "refused", "Make the archive again"),
    Nasty("empty.zip", lambda: zip_of([]), "refused", "is empty"),
    Nasty("photos.rar", lambda: b"Rar!\x1a\x07\0" + bytes(99), "refused", "a RAR archive"),
    Nasty("photos.7z", lambda: b"7z\xbc\xaf\x27\x1c" + bytes(99), "refused", "a 7-Zip archive"),
]
