import io
import json
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from modelgenerator.diffusion.picture_request import PictureRequest
from modelgenerator.errors import OutputNotWritable
from modelgenerator.generation.generate import GeneratedImage
from modelgenerator.generation.picture_files import encoded, save_png
from modelgenerator.generation.wishes import PlannedImage


def generated(prompt: str = "lvff at sea", negative_prompt: str = "rain") -> GeneratedImage:
    request = PictureRequest(
        prompt=prompt,
        negative_prompt=negative_prompt,
        width=16,
        height=8,
        steps=20,
        guidance_scale=7.5,
        seed=2**63 - 1,
    )
    image = Image.new("RGB", (16, 8), (1, 2, 3))
    return GeneratedImage(image=image, planned=PlannedImage(request=request, lora_scale=0.8))


def texts_of(file: Path) -> dict[str, str]:
    with Image.open(file) as image:
        image.load()
        return dict(image.text)  # type: ignore[attr-defined]


def test_other_programs_can_read_how_it_was_drawn(tmp_path: Path):
    save_png(generated(), tmp_path / "a.png", base_model="org/name", lora="my-lora")
    assert texts_of(tmp_path / "a.png")["parameters"] == (
        "lvff at sea <lora:my-lora:0.8>\n"
        "Negative prompt: rain\n"
        f"Steps: 20, CFG scale: 7.5, Seed: {2**63 - 1}, Size: 16x8, Model: org/name"
    )


def test_everything_that_is_needed_to_draw_it_again_is_in_its_json(tmp_path: Path):
    save_png(generated(), tmp_path / "a.png", base_model="org/name", lora="my-lora")
    assert json.loads(texts_of(tmp_path / "a.png")["modelgenerator"]) == {
        "prompt": "lvff at sea",
        "negative_prompt": "rain",
        "width": 16,
        "height": 8,
        "steps": 20,
        "guidance_scale": 7.5,
        "seed": 2**63 - 1,
        "base_model": "org/name",
        "lora": "my-lora",
        "sampler": None,
        "lora_scale": 0.8,
    }


def test_any_script_survives_in_both_texts(tmp_path: Path):
    prompt = "lvff в снегу 雪 🦊"
    save_png(generated(prompt), tmp_path / "a.png", base_model="org/name", lora=None)
    texts = texts_of(tmp_path / "a.png")
    assert texts["parameters"].startswith(prompt + "\n")
    assert json.loads(texts["modelgenerator"])["prompt"] == prompt


def test_without_a_lora_and_a_negative_prompt_neither_is_named(tmp_path: Path):
    file = tmp_path / "a.png"
    save_png(generated(negative_prompt=""), file, base_model="org/name", lora=None)
    first, second = texts_of(file)["parameters"].splitlines()
    assert first == "lvff at sea"
    assert second.startswith("Steps: 20")


def test_the_pixels_are_kept(tmp_path: Path):
    save_png(generated(), tmp_path / "a.png", base_model="org/name", lora=None)
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (16, 8)
        assert image.getpixel((5, 5)) == (1, 2, 3)


def test_a_missing_folder_is_told(tmp_path: Path):
    with pytest.raises(OutputNotWritable, match="The picture cannot be written"):
        save_png(generated(), tmp_path / "no" / "a.png", base_model="org/name", lora=None)


@pytest.mark.parametrize("form", ["jpeg", "webp"])
def test_other_formats_say_the_same_in_exif(form):
    content = encoded(generated("lvff 雪"), form, base_model="org/name", lora="my-lora")
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == form.upper()
        assert image.size == (16, 8)
        exif = image.getexif()
    comment = exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment]
    assert comment[:8] == b"UNICODE\0"
    words = comment[8:].decode("utf-16-be" if comment[8] == 0 else "utf-16-le")
    assert words.startswith("lvff 雪 <lora:my-lora:0.8>\nNegative prompt: rain\nSteps: 20")
    facts = json.loads(exif[ExifTags.Base.ImageDescription])["modelgenerator"]
    assert (facts["prompt"], facts["seed"]) == ("lvff 雪", 2**63 - 1)
