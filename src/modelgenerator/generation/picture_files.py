"""Pictures as files that say how they were drawn.

In: a generated picture and the names of base model and LoRA.  Out: a PNG whose `parameters` text
other programs show, and whose `modelgenerator` text is JSON; or a JPEG or WebP that says the same
in Exif's UserComment and ImageDescription.
Source of the `parameters` form: AUTOMATIC1111/stable-diffusion-webui, modules/processing.py.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from modelgenerator.generation.generate import GeneratedImage
from modelgenerator.whole_files import write_whole

PictureFormat = Literal["png", "jpeg", "webp"]
_QUALITY = 95
_LOSSY_OPTIONS: Mapping[str, Mapping[str, object]] = {
    "jpeg": {"quality": _QUALITY, "subsampling": 0},
    "webp": {"quality": _QUALITY},
}


def save_png(generated: GeneratedImage, file: Path, *, base_model: str, lora: str | None) -> None:
    """Write `file` whole or not at all.

    Raises:
        OutputNotWritable: the disk is full, or the folder is gone or not writable.
    """
    content = encoded(generated, "png", base_model=base_model, lora=lora)
    write_whole(file, content, called="The picture")


def encoded(
    generated: GeneratedImage, form: PictureFormat, *, base_model: str, lora: str | None
) -> bytes:
    """The picture as a file that says how it was drawn."""
    request, scale = generated.planned.request, generated.planned.lora_scale
    facts = {**asdict(request), "base_model": base_model, "lora": lora, "lora_scale": scale}
    parameters = _parameters(generated, base_model=base_model, lora=lora)
    file = io.BytesIO()
    if form == "png":
        text = PngInfo()
        text.add_text("parameters", parameters)
        text.add_itxt("modelgenerator", json.dumps(facts, ensure_ascii=False))
        generated.image.save(file, format="PNG", pnginfo=text)
    else:
        exif = Image.Exif()
        exif[ExifTags.Base.ImageDescription] = json.dumps({"modelgenerator": facts})
        # Source: CIPA DC-008, Exif 2.3, 4.6.5: eight bytes name the encoding of UserComment
        comment = b"UNICODE\0" + parameters.encode("utf-16-be")
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = comment
        options = _LOSSY_OPTIONS[form]
        generated.image.convert("RGB").save(file, format=form.upper(), exif=exif, **options)
    return file.getvalue()


def _parameters(generated: GeneratedImage, *, base_model: str, lora: str | None) -> str:
    request = generated.planned.request
    tag = f" <lora:{lora}:{generated.planned.lora_scale:g}>" if lora else ""
    lines = [f"{request.prompt}{tag}"]
    if request.negative_prompt:
        lines.append(f"Negative prompt: {request.negative_prompt}")
    sampler = f"Sampler: {request.sampler}, " if request.sampler else ""
    lines.append(
        f"Steps: {request.steps}, {sampler}CFG scale: {request.guidance_scale:g}, "
        f"Seed: {request.seed}, Size: {request.width}x{request.height}, Model: {base_model}"
    )
    return "\n".join(lines)
