"""`modelgenerator demo`: the whole product at work, on any machine, in a few minutes.

Comes in: a folder.  Goes out: eight pictures of a creature that the embedded base model has never
seen, a LoRA that learnt it, and a contact sheet of it in new scenes.  It calls the same commands
that a person would.
"""

from pathlib import Path

from PIL import Image

from modelgenerator.cli import train
from modelgenerator.cli.photos import PhotoOptions
from modelgenerator.cli.progress import reporter
from modelgenerator.diffusion.aliases import BUILTIN

SUBJECT = "lvff"
SCENES = ("beach", "beach", "forest", "forest", "city", "meadow", "plain", "plain")
SEED = 7
ENLARGED = 8  # times, so that a person who opens a picture sees something


def run(output: Path) -> None:
    """Teach the bundled subject and show it."""
    photos = output / "photos"
    draw_photos(photos)
    with reporter(as_json=False) as report:
        report.phase("the demo runs this command for you")
        command = f"modelgenerator train {photos} --prefix {SUBJECT} --template recommended"
        report.result("command", f"{command} --set seed={SEED} --output {output}")
    train.run(
        photos,
        prefix=SUBJECT,
        base_model=BUILTIN,
        settings_file=None,
        assignments=[f"seed={SEED}"],
        template="recommended",
        options=PhotoOptions(),
        output=output,
        resume=False,
        overwrite=True,
        dry_run=False,
        as_json=False,
    )


def draw_photos(folder: Path) -> None:
    """What a person would have: picture files, and a caption beside each."""
    from modelgenerator.diffusion.builtin import world

    folder.mkdir(parents=True, exist_ok=True)
    for number, scene in enumerate(SCENES, start=1):
        picture = world.subject_picture(SUBJECT, scene, number)
        size = (picture.pixels_HW3.shape[1] * ENLARGED, picture.pixels_HW3.shape[0] * ENLARGED)
        image = Image.fromarray(picture.pixels_HW3).resize(size, Image.Resampling.NEAREST)
        image.save(folder / f"{number}-{scene}.png")
        (folder / f"{number}-{scene}.txt").write_text(f"{picture.caption}\n", encoding="utf-8")
