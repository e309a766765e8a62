"""`modelgenerator demo`: the whole product at work, on any machine, in a few minutes.

Comes in: a folder.  Goes out: eight pictures of a creature that the embedded base model has never
seen, a LoRA that learnt it, and a contact sheet of it in new scenes.  It calls the same commands
that a person would.
"""

from pathlib import Path

from modelgenerator.cli import train
from modelgenerator.cli.photos import PhotoOptions
from modelgenerator.cli.progress import reporter
from modelgenerator.diffusion.aliases import BUILTIN
from modelgenerator.diffusion.builtin.sample import TRIGGER_WORD, sample_photos

SEED = 7


def run(output: Path) -> None:
    """Teach the bundled subject and show it."""
    photos = output / "photos"
    draw_photos(photos)
    with reporter(as_json=False) as report:
        report.phase("the demo runs this command for you")
        command = f"modelgenerator train {photos} --prefix {TRIGGER_WORD} --template recommended"
        report.result("command", f"{command} --set seed={SEED} --output {output}")
    train.run(
        photos,
        prefix=TRIGGER_WORD,
        base_model=BUILTIN,
        settings_file=None,
        assignments=[f"seed={SEED}"],
        template="recommended",
        options=PhotoOptions(),
        output=output,
        processes=1,
        resume=False,
        overwrite=True,
        dry_run=False,
        as_json=False,
    )


def draw_photos(folder: Path) -> None:
    """What a person would have: picture files, and a caption beside each."""
    folder.mkdir(parents=True, exist_ok=True)
    for photo in sample_photos():
        (folder / f"{photo.stem}.png").write_bytes(photo.png)
        (folder / f"{photo.stem}.txt").write_text(f"{photo.caption}\n", encoding="utf-8")
