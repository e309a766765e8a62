import hashlib
import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage import data as photographs
from tests import heic_photos

from modelgenerator.datasets.images import Photo, PhotoLimits, encode_photo, read_photo
from modelgenerator.errors import UnusablePhoto


def encoded(image: Image.Image, format_: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format_, **options)
    return stream.getvalue()


def plain(
    width: int = 20, height: int = 16, colour: tuple[int, ...] = (10, 200, 30)
) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def reason(data: bytes, name: str = "cat.jpg", limits: PhotoLimits | None = None) -> str:
    with pytest.raises(UnusablePhoto) as caught:
        read_photo(data, name=name, limits=limits)
    assert caught.value.name == name
    return caught.value.reason


def colour_of(photo: Photo) -> tuple[int, ...]:
    return tuple(int(value) for value in photo.pixels_HW3[8, 8])


def png_claiming(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + body


def test_a_real_photograph_comes_through_png_bit_for_bit():
    astronaut_HW3 = photographs.astronaut()
    data = encoded(Image.fromarray(astronaut_HW3))
    photo = read_photo(data, name="astronaut.png")
    assert np.array_equal(photo.pixels_HW3, astronaut_HW3)
    assert (photo.width, photo.height, photo.pixels_HW3.dtype) == (512, 512, np.uint8)
    assert photo.sha256 == hashlib.sha256(data).hexdigest()
    assert photo.remarks == ()


@pytest.mark.parametrize("format_", ["JPEG", "WEBP"])
def test_a_real_photograph_comes_through_lossy_formats_nearly_unchanged(format_: str):
    astronaut_HW3 = photographs.astronaut()
    photo = read_photo(encoded(Image.fromarray(astronaut_HW3), format_, quality=95), name="a")
    difference_HW3 = np.abs(photo.pixels_HW3.astype(int) - astronaut_HW3)
    assert difference_HW3.mean() < 4


def test_pixels_can_be_written_to():
    # torch warns about arrays that cannot
    assert read_photo(encoded(plain()), name="a").pixels_HW3.flags.writeable


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_the_format_is_told_by_content_and_not_by_name(format_: str):
    assert read_photo(encoded(plain(), format_), name="cat.gif").width == 20


def stored_as(orientation: int, upright_HW3: np.ndarray) -> np.ndarray:
    """What a camera stores that writes `orientation`. Source: EXIF 2.3, tag 0x0112."""
    rotated = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: np.rot90(p, 1),
        7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
        8: lambda p: np.rot90(p, -1),
    }
    return np.ascontiguousarray(rotated[orientation](upright_HW3))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP"])
def test_every_exif_orientation_is_turned_upright(orientation: int, format_: str):
    rows, columns = np.mgrid[0:32, 0:48]
    upright_HW3 = np.stack([rows * 7, columns * 5, rows * 0 + 90], axis=-1).astype(np.uint8)
    image = Image.fromarray(stored_as(orientation, upright_HW3))
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = read_photo(encoded(image, format_, exif=exif), name="turned")
    assert (photo.width, photo.height) == (48, 32)
    assert np.abs(photo.pixels_HW3.astype(int) - upright_HW3).mean() < 4


def test_an_unknown_orientation_is_upright():
    exif = Image.Exif()
    exif[0x0112] = 77
    assert read_photo(encoded(plain(20, 16), exif=exif), name="a").width == 20


def test_damaged_exif_does_not_cost_the_photo():
    data = encoded(plain(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12")
    assert read_photo(data, name="a").width == 20


def test_alpha_is_laid_over_white():
    half = Image.new("RGBA", (20, 16), (0, 0, 0, 128))
    assert colour_of(read_photo(encoded(half), name="a")) == (127, 127, 127)


def test_grey_with_alpha_is_laid_over_white():
    clear = Image.new("LA", (20, 16), (40, 0))
    assert colour_of(read_photo(encoded(clear), name="a")) == (255, 255, 255)


def test_a_transparent_palette_is_laid_over_white_without_a_warning():
    palette = Image.new("P", (20, 16), 1)
    palette.putpalette([0, 0, 0, 200, 10, 20])
    opaque = read_photo(encoded(palette, transparency=bytes([0, 255])), name="a")
    clear = read_photo(encoded(palette, transparency=bytes([255, 0])), name="a")
    assert (colour_of(opaque), colour_of(clear)) == ((200, 10, 20), (255, 255, 255))


def test_16_bit_grey_keeps_its_brightness():
    grey = Image.fromarray(np.full((16, 20), 32896, np.uint16))
    assert colour_of(read_photo(encoded(grey), name="a")) == (128, 128, 128)


@pytest.mark.parametrize("mode", ["1", "L"])
def test_grey_becomes_three_equal_channels(mode: str):
    white = Image.new(mode, (20, 16), 255)
    assert colour_of(read_photo(encoded(white), name="a")) == (255, 255, 255)


def test_cmyk_becomes_rgb():
    red = Image.new("CMYK", (20, 16), (0, 255, 255, 0))
    r, g, b = colour_of(read_photo(encoded(red, "JPEG", quality=100), name="a"))
    assert r > 250
    assert g < 5
    assert b < 5


def profile_with_red_and_green_exchanged() -> bytes:
    """A valid profile that every reader must honour visibly: its red primary is green."""
    icc = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", icc[128:132])[0]
    at = {bytes(icc[i : i + 4]): i for i in range(132, 132 + 12 * count, 12)}
    r, g = at[b"rXYZ"], at[b"gXYZ"]
    icc[r + 4 : r + 12], icc[g + 4 : g + 12] = icc[g + 4 : g + 12], icc[r + 4 : r + 12]
    return bytes(icc).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))


@pytest.mark.parametrize("format_", ["PNG", "WEBP", "JPEG"])
def test_the_embedded_colour_profile_is_converted_to_srgb(format_: str):
    lossless = {"lossless": True} if format_ == "WEBP" else {}
    image = plain(colour=(200, 0, 0))
    icc = profile_with_red_and_green_exchanged()
    photo = read_photo(encoded(image, format_, icc_profile=icc, **lossless), name="a")
    r, g, b = colour_of(photo)
    assert abs(g - 200) < 6
    assert r < 6
    assert b < 6
    assert photo.remarks == ()


def test_a_photo_that_is_srgb_already_keeps_every_bit():
    astronaut_HW3 = photographs.astronaut()
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = read_photo(encoded(Image.fromarray(astronaut_HW3), icc_profile=icc), name="a")
    assert np.array_equal(photo.pixels_HW3, astronaut_HW3)


def test_a_damaged_colour_profile_is_told_and_the_photo_is_used():
    photo = read_photo(encoded(plain(), icc_profile=b"no profile at all"), name="a")
    assert colour_of(photo) == (10, 200, 30)
    assert "colour profile" in photo.remarks[0]


@pytest.mark.parametrize("format_", ["PNG", "WEBP"])
def test_of_an_animation_the_first_picture_is_used_and_told(format_: str):
    first, second = plain(colour=(200, 0, 0)), plain(colour=(0, 0, 200))
    data = encoded(first, format_, save_all=True, append_images=[second], duration=100)
    photo = read_photo(data, name="a")
    assert photo.pixels_HW3[0, 0, 0] > 150 > photo.pixels_HW3[0, 0, 2]
    assert "animated" in photo.remarks[0]


def test_a_huge_png_is_refused_by_its_header_with_its_size():
    assert "50,000 x 50,000 pixels" in reason(png_claiming(50_000, 50_000))


def test_a_huge_webp_is_refused_by_its_header_with_its_size():
    canvas = (16_000 - 1).to_bytes(3, "little") * 2
    data = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + canvas
    assert "16,000 x 16,000 pixels" in reason(data)


def test_a_huge_jpg_is_refused_by_its_header_with_its_size():
    frame = b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 60_000, 50_000)
    assert "50,000 x 60,000 pixels" in reason(b"\xff\xd8\xff\xe0\x00\x04ab" + frame)


def test_a_photo_above_pillows_own_limit_is_read_without_a_warning(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_photo(encoded(plain()), name="a").width == 20


def test_too_many_bytes_are_refused_with_both_sizes():
    limits = PhotoLimits(max_bytes=2_000_000)
    assert (
        reason(b"\0" * 3_000_000, limits=limits) == "the file has 3 MB, more than the 2 MB allowed"
    )


def test_a_tiny_picture_is_refused_with_its_size():
    assert "20 x 15 pixels" in reason(encoded(plain(20, 15)))


def test_an_empty_file_is_refused():
    assert reason(b"") == "the file is empty"


def test_a_text_named_jpg_is_refused():
    assert reason(b"these are my holidays") == "it is not a jpg, png or webp picture"


def test_a_web_page_named_jpg_is_called_what_it_is():
    assert "web page" in reason(b"\n<!DOCTYPE html><html>not found</html>")


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"GIF89a" + b"\0" * 40, "GIF"),
        (b"BM" + b"\0" * 40, "BMP"),
        (b"II*\0" + b"\0" * 40, "TIFF"),
        (b"\0\0\0\x18ftypisom" + b"\0" * 40, "video"),
        (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"MZ\x90\0" + b"\0" * 60, "Windows program"),
    ],
)
def test_another_format_is_refused_by_its_name(data: bytes, word: str):
    assert word in reason(data)
    assert "jpg" in reason(data)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.7, 0.99])
def test_a_truncated_photo_is_refused_with_its_name(format_: str, kept: float):
    data = encoded(Image.fromarray(photographs.astronaut()[:200, :200]), format_)
    assert "copy it again" in reason(data[: int(len(data) * kept)])


def test_a_damaged_png_is_refused():
    data = bytearray(encoded(Image.fromarray(photographs.astronaut()[:64, :64])))
    data[len(data) // 2] ^= 0xFF
    assert "damaged" in reason(bytes(data))


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_no_damage_escapes_as_another_error(format_: str):
    data = encoded(Image.fromarray(photographs.astronaut()[:48, :48]), format_)
    random = np.random.default_rng(0)
    for _ in range(150):
        broken = bytearray(data)
        for at in random.integers(0, len(data), 4):
            broken[at] = random.integers(0, 256)
        try:
            read_photo(bytes(broken), name="a")
        except UnusablePhoto:
            continue


# --- HEIC and AVIF


@pytest.mark.parametrize("data", [heic_photos.PLAIN, heic_photos.TURNED, heic_photos.TEN_BIT])
def test_a_heic_photo_is_read_upright(data: bytes):
    photo = read_photo(data, name="a.heic")
    assert (photo.width, photo.height, photo.remarks) == (64, 48, ())
    assert np.abs(photo.pixels_HW3.astype(int) - heic_photos.GRADIENT_HW3).mean() < 4


def test_the_main_picture_of_several_in_a_heic_is_used_and_told():
    photo = read_photo(heic_photos.TWO, name="a.heic")
    assert np.abs(photo.pixels_HW3.astype(int) - heic_photos.GRADIENT_HW3).mean() < 4
    assert photo.remarks == ("it holds several pictures, and only the main one is used",)


def test_transparency_of_a_heic_is_kept():
    photo = read_photo(heic_photos.ALPHA, name="a.heic")
    assert photo.alpha_HW is not None
    assert (photo.alpha_HW[:, :32].max(), photo.alpha_HW[:, 32:].min()) == (0, 255)
    assert tuple(photo.pixels_HW3[20, 10]) == (255, 255, 255)


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.7, 0.99])
def test_a_truncated_heic_is_refused_with_a_way_out(kept: float):
    data = heic_photos.PLAIN
    assert "copy it again" in (r := reason(data[: int(len(data) * kept)])) or "as jpg" in r


def test_a_huge_heic_is_refused_by_its_header():
    at = heic_photos.PLAIN.index(b"ispe") + 8
    data = heic_photos.PLAIN[:at] + struct.pack(">II", 50_000, 50_000) + heic_photos.PLAIN[at + 8 :]
    assert "50,000 x 50,000 pixels" in reason(data)


def test_a_heic_larger_than_it_says_is_refused():
    at = heic_photos.PLAIN.index(b"ispe") + 8
    data = heic_photos.PLAIN[:at] + struct.pack(">II", 32, 32) + heic_photos.PLAIN[at + 8 :]
    assert "HEIC file is damaged" in reason(data)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_avif_photo_is_read_upright(orientation: int):
    upright_HW3 = heic_photos.GRADIENT_HW3
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(stored_as(orientation, upright_HW3))
    photo = read_photo(encoded(image, "AVIF", quality=90, exif=exif), name="a.avif")
    assert (photo.width, photo.height, photo.remarks) == (64, 48, ())
    assert np.abs(photo.pixels_HW3.astype(int) - upright_HW3).mean() < 4


# --- transparency


def see_through() -> Image.Image:
    """Every colour value at every opacity."""
    alpha_HW, colour_HW = np.mgrid[0:256, 0:256].astype(np.uint8)
    return Image.fromarray(np.dstack([colour_HW, colour_HW[::-1], colour_HW[:, ::-1], alpha_HW]))


@pytest.mark.parametrize("format_", ["PNG", "WEBP"])
def test_how_opaque_each_place_is_comes_along(format_: str):
    options = {"lossless": True, "exact": True} if format_ == "WEBP" else {}
    photo = read_photo(encoded(see_through(), format_, **options), name="a")
    assert np.array_equal(photo.alpha_HW, np.asarray(see_through())[..., 3])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_opacity_is_turned_as_the_pixels_are(orientation: int):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored_HW4 = stored_as(orientation, np.asarray(see_through())[:100])
    photo = read_photo(encoded(Image.fromarray(stored_HW4), exif=exif), name="a")
    assert np.array_equal(photo.alpha_HW, np.asarray(see_through())[:100, :, 3])


def test_a_photo_with_transparency_that_hides_nothing_has_none():
    assert read_photo(encoded(plain().convert("RGBA")), name="a").alpha_HW is None
    assert read_photo(encoded(plain()), name="a").alpha_HW is None


def test_a_see_through_shade_of_16_bits_counts():
    shades_HW = np.full((16, 20), 40_000, np.uint16)
    shades_HW[:, :10] = 7
    photo = read_photo(encoded(Image.fromarray(shades_HW), transparency=7), name="a")
    assert photo.alpha_HW is not None
    assert (photo.alpha_HW[0, 0], photo.alpha_HW[0, 15]) == (0, 255)


# --- written again


@pytest.mark.parametrize("turn", [0, 6])
@pytest.mark.parametrize("size", [(40, 16), (16_384, 16)])
def test_a_photo_written_again_has_the_same_pixels(size: tuple[int, int], turn: int):
    noise_HW3 = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = turn
    photo = read_photo(encoded(Image.fromarray(noise_HW3), exif=exif), name="a")
    again = read_photo(encode_photo(photo), name="a")
    assert np.array_equal(again.pixels_HW3, photo.pixels_HW3)
    assert (again.alpha_HW, again.remarks) == (None, photo.remarks)


@pytest.mark.parametrize("side", ["by webp", "by png"])
def test_a_see_through_photo_written_again_is_the_same(side: str):
    image = see_through() if side == "by webp" else see_through().resize((256 * 70, 256), 0)
    photo = read_photo(encoded(image), name="a")
    again = read_photo(encode_photo(photo), name="a")
    assert np.array_equal(again.pixels_HW3, photo.pixels_HW3)
    assert np.array_equal(again.alpha_HW, photo.alpha_HW)


def with_everything(format_: str) -> bytes:
    """A photo that says who made it, where and when, in every way its format has."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0132] = "OurCamera", "2024:01:02 03:04:05"
    exif.get_ifd(0x8825).update({1: "N", 2: (47.0, 22.0, 0.0)})
    icc = profile_with_red_and_green_exchanged()
    options: dict[str, object] = {"exif": exif, "icc_profile": icc, "xmp": b"<x:xmpmeta OurXmp/>"}
    if format_ == "JPEG":
        options["comment"] = b"OurComment"
    return encoded(Image.fromarray(photographs.astronaut()[:64, :64]), format_, **options)


SECRETS = [b"Exif", b"EXIF", b"OurCamera", b"2024", b"xmp", b"XMP", b"OurComment", b"OurXmp"]
SECRETS += [b"ICCP", b"iCCP", b"ICC_PROFILE", b"acsp", b"eXIf", b"tEXt", b"OurTrailer"]


@pytest.mark.parametrize("format_", ["JPEG", "WEBP", "AVIF"])
def test_nothing_but_pixels_is_written_again(format_: str):
    data = with_everything(format_) + b"OurTrailer"
    assert any(secret in data for secret in SECRETS)
    again = encode_photo(read_photo(data, name="a"))
    assert [secret for secret in SECRETS if secret in again] == []


# --- what costs no photo


def png_with(kind: bytes, body: bytes) -> bytes:
    """A good png with one more chunk before its pixels."""
    data = encoded(plain())
    at = data.index(b"IDAT") - 4
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return data[:at] + chunk + data[at:]


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"tEXt"])
def test_words_in_a_png_are_left_unread(kind: bytes):
    bomb = zlib.compress(bytes(50_000_000), 9)
    start = {b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0\0\0", b"tEXt": b"a\0"}[kind]
    photo = read_photo(png_with(kind, start + bomb), name="a")
    assert (colour_of(photo), photo.remarks) == ((10, 200, 30), ())


def test_a_colour_profile_that_unfolds_to_too_much_is_left_away_and_told():
    photo = read_photo(png_with(b"iCCP", b"a\0\0" + zlib.compress(bytes(50_000_000))), name="a")
    assert colour_of(photo) == (10, 200, 30)
    assert photo.remarks == ("its colour profile is too long, so its colours are taken as sRGB",)


def test_print_colours_without_a_profile_are_told():
    red = Image.new("CMYK", (20, 16), (0, 255, 255, 0))
    assert "print colours (CMYK)" in read_photo(encoded(red, "JPEG"), name="a").remarks[0]


@pytest.mark.parametrize(("size", "count"), [((64, 16), 0), ((160, 20), 1), ((20, 160), 1)])
def test_a_photo_longer_than_any_shape_is_told(size: tuple[int, int], count: int):
    remarks = read_photo(encoded(plain(*size)), name="a").remarks
    assert len(remarks) == count
    assert all("8 times as long as wide" in remark for remark in remarks)
