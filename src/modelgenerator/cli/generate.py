"""`modelgenerator generate`: pictures of a subject in any scene.

Comes in: a LoRA (or none), prompts, wishes.  Goes out: PNG files that say how they were drawn, and
a contact sheet when there is more than one.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from modelgenerator.cli.base_models import drawing_dtype, load_base, this_machine
from modelgenerator.cli.progress import Reporter, reporter
from modelgenerator.diffusion import hub
from modelgenerator.diffusion.aliases import BUILTIN
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.provenance import companion_notices
from modelgenerator.diffusion.recommended import steps_notices
from modelgenerator.errors import OutputNotWritable, UnusableLora
from modelgenerator.settings import ImageSettings
from modelgenerator.training import checkpoint_files


def run(
    *,
    lora: Path | None,
    prompts: Sequence[str],
    count: int,
    seed: int | None,
    steps: int | None,
    width: int | None,
    height: int | None,
    negative_prompt: str,
    guidance_scale: float | None,
    scheduler: str | None,
    lora_scale: float,
    base_model: str | None,
    output: Path,
    as_json: bool,
) -> None:
    """Draw, and say where the pictures are."""
    asked = {
        "count": count,
        "seed": seed,
        "steps": steps,
        "width": width,
        "height": height,
        "negativePrompt": negative_prompt,
        "guidanceScale": guidance_scale,
        "scheduler": scheduler,
        "loraScale": lora_scale,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    wishes = [ImageSettings.from_written({"prompt": prompt, **given}) for prompt in prompts]
    file = _lora_file(lora) if lora is not None else None
    with reporter(as_json=as_json) as report:
        _draw(wishes, file, base_model, output, report)


def _lora_file(path: Path) -> Path:
    """The LoRA itself, or the one in the output folder of a training.

    Raises:
        UnusableLora: there is none.
    """
    if not path.is_dir():
        return path
    if (path / "lora.safetensors").exists():
        return path / "lora.safetensors"
    found = sorted(path.glob("*.safetensors"))
    if checkpoint_files.are_in(path):
        raise UnusableLora(
            f"The training in {path} is not finished. Finish it with "
            f"`modelgenerator train PHOTOS --output {path} --resume`."
        )
    if len(found) == 1:
        return found[0]
    raise UnusableLora(
        f"There is no lora.safetensors in {path}. Give the output folder of a training, or the "
        "LoRA file itself."
    )


def _draw(
    wishes: Sequence[ImageSettings],
    lora_file: Path | None,
    base_model: str | None,
    output: Path,
    report: Reporter,
) -> None:
    from modelgenerator.cli.sheets import save_sheet
    from modelgenerator.generation.contact_sheet import Row, contact_sheet
    from modelgenerator.generation.generate import generate
    from modelgenerator.generation.picture_files import save_png
    from modelgenerator.generation.wishes import plan_images
    from modelgenerator.lora import files

    report.phase("looking at the LoRA and the base model")
    lora = files.load(lora_file) if lora_file else None
    base_files = hub.look_at(base_model or _trained_on(lora) or BUILTIN)
    for notice in companion_notices(base_files):
        report.notice(notice)
    if not all(wish.is_given("steps") for wish in wishes):
        for notice in steps_notices(base_files):
            report.notice(notice)
    planned = plan_images(wishes, base_files)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputNotWritable(
            f"The folder {output} cannot be made: {error.strerror}. Choose another with --output."
        ) from error
    base = load_base(base_files, drawing_dtype(base_files, this_machine()), report)
    report.phase(f"drawing {len(planned)} pictures")
    drawn = []
    for number, generated in enumerate(generate(planned, base, lora), start=1):
        file = _free_name(output, generated.planned.request.prompt, generated.planned.request.seed)
        name = lora_file.stem if lora_file else None
        save_png(generated, file, base_model=base_files.reference, lora=name)
        report.count("pictures", number, len(planned))
        report.result("picture", f"{file} (seed {generated.planned.request.seed})")
        drawn.append(generated)
    if len(drawn) > 1:
        rows = [
            Row(label=wish.prompt, pictures=[d.image for d in drawn[i : i + wish.count]])
            for i, wish in zip(range(0, len(drawn), wishes[0].count), wishes, strict=True)
        ]
        sheet = output / "contact-sheet.png"
        save_sheet(contact_sheet(_title(base_files, lora_file), rows), sheet)
        report.result("contact sheet", str(sheet))


def _title(base: BaseModelFiles, lora_file: Path | None) -> str:
    if lora_file is None:
        return f"{base.reference}, no LoRA"
    return f"{base.reference} with {lora_file.parent.name}/{lora_file.name}"


def _trained_on(lora: object) -> str | None:
    """The base model that a LoRA of ours names."""
    metadata = getattr(lora, "metadata", {})
    try:
        return json.loads(metadata["modelgenerator.plan"])["base_model"]
    except (KeyError, ValueError):
        return None


def _free_name(folder: Path, prompt: str, seed: int) -> Path:
    """A name from prompt and seed that no earlier picture has: nothing is overwritten."""
    words = "".join(c if c.isalnum() else "-" for c in prompt.lower())[:48].strip("-")
    number = 1
    while True:
        more = f"-{number}" if number > 1 else ""
        file = folder / f"{words or 'picture'}-{seed}{more}.png"
        if not file.exists():
            return file
        number += 1
