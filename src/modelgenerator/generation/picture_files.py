"""Pictures as PNG files that say how they were drawn.

In: a generated picture and the names of base model and LoRA.  Out: a PNG whose `parameters` text
other programs show, and whose `modelgenerator` text is JSON.
Source of the `parameters` form: AUTOMATIC1111/stable-diffusion-webui, modules/processing.py.
"""

import io
import json
from dataclasses import asdict
from pathlib import Path

from PIL.PngImagePlugin import PngInfo

from modelgenerator.generation.generate import GeneratedImage
from modelgenerator.whole_files import write_whole


def save_png(generated: GeneratedImage, file: Path, *, base_model: str, lora: str | None) -> None:
    """Write `file` whole or not at all.

    Raises:
        OutputNotWritable: the disk is full, or the folder is gone or not writable.
    """
    request, scale = generated.planned.request, generated.planned.lora_scale
    facts = {**asdict(request), "base_model": base_model, "lora": lora, "lora_scale": scale}
    text = PngInfo()
    text.add_text("parameters", _parameters(generated, base_model=base_model, lora=lora))
    text.add_itxt("modelgenerator", json.dumps(facts, ensure_ascii=False))
    png = io.BytesIO()
    generated.image.save(png, format="PNG", pnginfo=text)
    write_whole(file, png.getvalue(), called="The picture")


def _parameters(generated: GeneratedImage, *, base_model: str, lora: str | None) -> str:
    request = generated.planned.request
    tag = f" <lora:{lora}:{generated.planned.lora_scale:g}>" if lora else ""
    lines = [f"{request.prompt}{tag}"]
    if request.negative_prompt:
        lines.append(f"Negative prompt: {request.negative_prompt}")
    lines.append(
        f"Steps: {request.steps}, CFG scale: {request.guidance_scale:g}, Seed: {request.seed}, "
        f"Size: {request.width}x{request.height}, Model: {base_model}"
    )
    return "\n".join(lines)
