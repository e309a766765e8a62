"""The command `modelgenerator`: every subcommand, its options, and the one place for errors.

Comes in: the words on the command line.  Goes out: an exit code, 0 for done, 2 for what the
person can mend, 1 for what is our fault, 130 for Ctrl-C.  Nothing heavy is imported before a
command runs, so that --help answers at once; what a command does is in its own module.
"""

import os
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from modelgenerator.cli import failures
from modelgenerator.datasets.subject import SubjectKind

app = typer.Typer(
    help="Teaches a diffusion model your subject: photos in, a LoRA out, pictures back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

lora_app = typer.Typer(help="Look at LoRA files and convert them.", no_args_is_help=True)
app.add_typer(lora_app, name="lora")
flow_app = typer.Typer(
    help="Look at flows, pipelines of steps as JSON, and run them.", no_args_is_help=True
)
app.add_typer(flow_app, name="flow")

SegmenterName = Annotated[
    str,
    typer.Option(
        "--segmenter",
        help="Who finds the subject, for normalizeDataset and maskedLoss: auto, none, or one of "
        "docs/reference/segmenters.md.",
    ),
]
CaptionerName = Annotated[
    str,
    typer.Option(
        "--captioner",
        help="Who writes captions for photos that have none: auto, none, or one of "
        "docs/guide/captions.md.",
    ),
]
Kind = Annotated[
    SubjectKind | None, typer.Option("--kind", help="What sort of thing the subject is.")
]
ClassName = Annotated[
    str, typer.Option("--class-name", help="A common noun for the subject, as woman or sneaker.")
]
SettingsFile = Annotated[
    Path | None,
    typer.Option("--settings", help="JSON5 file of settings, or of a ModelGenerator step."),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="One setting, as epochs=40; may be repeated."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON event a line, for programs.")]


@dataclass
class Invocation:
    """What was said before the name of the subcommand."""

    debug: bool = False


def main() -> None:
    """Run the command line and exit."""
    # torch reads it when it is imported: threads that spin while they wait starve each other
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    invocation = Invocation()
    try:
        app(obj=invocation)
    except Exception as error:  # noqa: BLE001  the one place where everything is caught
        sys.exit(failures.show(error, debug=invocation.debug))


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"modelgenerator {version('modelgenerator')}")
        raise typer.Exit


@app.callback()
def before_every_command(
    context: typer.Context,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the whole traceback of an error.")
    ] = False,
    version: Annotated[  # noqa: ARG001  answered by its callback
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    context.ensure_object(Invocation).debug = debug


@app.command()
def train(
    photos: Annotated[
        Path,
        typer.Argument(
            help="Folder or zip of pictures; a .txt beside one captions it, a .mask.png masks it."
        ),
    ],
    prefix: Annotated[
        str | None,
        typer.Option(help="Trigger word that will call the subject: the setting captionPrefix."),
    ] = None,
    base_model: Annotated[
        str | None,
        typer.Option(
            help="What to train on top of: org/name, a folder, a .safetensors file or a built-in "
            "name. Without it: the settings file's, or else modelgenerator/creatures."
        ),
    ] = None,
    settings_file: SettingsFile = None,
    assignments: Assignments = None,
    template: Annotated[
        str | None,
        typer.Option(help="Start from these settings: 'recommended' is the base model's own."),
    ] = None,
    segmenter: SegmenterName = "auto",
    captioner: CaptionerName = "auto",
    kind: Kind = None,
    class_name: ClassName = "",
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for the LoRA and its record; runs/<prefix> without it."),
    ] = None,
    processes: Annotated[
        int,
        typer.Option(
            min=1,
            help="Divide the pictures of each step among so many processes: one for each GPU, or "
            "on the CPU where there is none. The LoRA is the same.",
        ),
    ] = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in the output folder.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier training in the output folder.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show the plan, each line with its reason, and do nothing."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Teach a base model the subject of PHOTOS and write a LoRA."""
    from modelgenerator.cli import train as command
    from modelgenerator.cli.photos import PhotoOptions
    from modelgenerator.datasets.subject import Subject

    command.run(
        photos,
        prefix=prefix,
        base_model=base_model,
        settings_file=settings_file,
        assignments=assignments or [],
        template=template,
        options=PhotoOptions(
            segmenter=segmenter, captioner=captioner, subject=Subject(kind, class_name)
        ),
        output=output,
        processes=processes,
        resume=resume,
        overwrite=overwrite,
        dry_run=dry_run,
        as_json=as_json,
    )


@app.command()
def generate(
    prompts: Annotated[
        list[str],
        typer.Option("--prompt", help="What to show, trigger word included; may be repeated."),
    ],
    lora: Annotated[
        Path | None,
        typer.Option(
            "--model",
            help="The output folder of a training, or a LoRA file; the base alone without it.",
        ),
    ] = None,
    count: Annotated[int, typer.Option(help="Pictures for each prompt, 1 to 16.")] = 1,
    seed: Annotated[
        int | None, typer.Option(help="Same seed, same picture; drawn and shown without it.")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Denoising steps, 1 to 60; as many as suit the base model without it."),
    ] = None,
    width: Annotated[
        int | None, typer.Option(help="Pixels across; the base model's own size without it.")
    ] = None,
    height: Annotated[
        int | None, typer.Option(help="Pixels down; the base model's own size without it.")
    ] = None,
    negative_prompt: Annotated[str, typer.Option(help="What not to show.")] = "",
    guidance_scale: Annotated[
        float | None,
        typer.Option(help="How closely to follow the prompt; the base model's own without it."),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(help="The way from noise to the picture; the base model's own without it."),
    ] = None,
    lora_scale: Annotated[float, typer.Option(help="Strength of the LoRA, 0 to 2.")] = 1.0,
    base_model: Annotated[
        str | None,
        typer.Option(help="Base model; the one that the LoRA was trained on without it."),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("samples"),
    as_json: AsJson = False,
) -> None:
    """Draw pictures, with a LoRA or without."""
    from modelgenerator.cli import generate as command

    command.run(
        lora=lora,
        prompts=prompts,
        count=count,
        seed=seed,
        steps=steps,
        width=width,
        height=height,
        negative_prompt=negative_prompt,
        guidance_scale=guidance_scale,
        scheduler=scheduler,
        lora_scale=lora_scale,
        base_model=base_model,
        output=output,
        as_json=as_json,
    )


@app.command()
def caption(
    photos: Annotated[Path, typer.Argument(help="Folder of pictures.")],
    captioner: CaptionerName = "auto",
    kind: Kind = None,
    class_name: ClassName = "",
    prefix: Annotated[
        str | None, typer.Option(help="Trigger word to put in front of each caption.")
    ] = None,
    max_tokens: Annotated[
        int,
        typer.Option(min=8, max=512, help="Longest caption, prefix included; CLIP reads 75."),
    ] = 75,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the captions that are there.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a caption into a .txt beside each of PHOTOS that has none, to read, mend and train."""
    from modelgenerator.cli import caption as command
    from modelgenerator.datasets.subject import Subject

    command.run(
        photos,
        captioner=captioner,
        subject=Subject(kind, class_name),
        prefix=prefix,
        max_tokens=max_tokens,
        overwrite=overwrite,
        as_json=as_json,
    )


@app.command()
def check(
    photos: Annotated[Path, typer.Argument(help="Folder or zip of pictures, as for train.")],
    resolution: Annotated[
        int | None, typer.Option(help="Pixels a side that will be trained: the setting resolution.")
    ] = None,
    prefix: Annotated[
        str | None, typer.Option(help="Trigger word, to show the captions with it.")
    ] = None,
    base_model: Annotated[
        str | None, typer.Option(help="What will be trained on top of, as for train.")
    ] = None,
    settings_file: SettingsFile = None,
    assignments: Assignments = None,
    segmenter: SegmenterName = "auto",
    kind: Kind = None,
    class_name: ClassName = "",
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for the report; checks/<name of PHOTOS> without it."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The report as one JSON object, for programs.")
    ] = False,
) -> None:
    """Say whether PHOTOS are good enough to train, show what would be trained, and what to add."""
    from modelgenerator.cli import check as command
    from modelgenerator.cli.photos import PhotoOptions
    from modelgenerator.datasets.subject import Subject

    command.run(
        photos,
        resolution=resolution,
        prefix=prefix,
        base_model=base_model,
        settings_file=settings_file,
        assignments=assignments or [],
        options=PhotoOptions(segmenter=segmenter, subject=Subject(kind, class_name)),
        output=output,
        as_json=as_json,
    )


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path(
        "demo"
    ),
) -> None:
    """Teach the bundled subject to the embedded base model and show it in new scenes."""
    from modelgenerator.cli import demo as command

    command.run(output)


@app.command()
def settings(
    as_json: Annotated[
        bool, typer.Option("--json", help="The JSON Schema instead of a table.")
    ] = False,
) -> None:
    """Show every hyperparameter: name, range, default, and what it does."""
    from modelgenerator.cli import settings_table as command

    command.run(as_json=as_json)


@app.command()
def doctor() -> None:
    """Look at this machine and say what is missing."""
    from modelgenerator.cli import doctor as command

    command.run()


@app.command()
def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen at [MODELGENERATOR_HOST or 127.0.0.1].")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65_535, help="Port; 0 takes a free one [MODELGENERATOR_PORT or 8080]."
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder of all that is kept [MODELGENERATOR_DATA_DIR or modelgenerator-data]."
        ),
    ] = None,
) -> None:
    """Serve the API; the first start prints what lets you in. See docs/guide/serving.md."""
    from modelgenerator.cli import serve as command

    command.run(host=host, port=port, data_dir=data_dir)


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder; it can be served afterwards.")],
    data_dir: Annotated[
        Path | None,
        typer.Option(help="As for serve [MODELGENERATOR_DATA_DIR or modelgenerator-data]."),
    ] = None,
) -> None:
    """Copy everything that the service keeps, while it runs or not."""
    from modelgenerator.cli import backup as command

    command.run(folder, data_dir=data_dir)


class LoraLayout(StrEnum):
    """Of the files that `lora convert` writes."""

    KOHYA = "kohya"
    DIFFUSERS = "diffusers"


class LoraHeader(StrEnum):
    """What a converted LoRA says about itself."""

    FULL = "full"
    MINIMAL = "minimal"
    NONE = "none"


@lora_app.command("info")
def lora_info(
    file: Annotated[Path, typer.Argument(help="A LoRA file, or the output folder of a training.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Say what is in FILE: layout, base model, layers, rank, trigger phrase, how it was made."""
    from modelgenerator.cli import lora as command

    command.info(file, as_json=as_json)


@lora_app.command("convert")
def lora_convert(
    file: Annotated[Path, typer.Argument(help="A LoRA file, or the output folder of a training.")],
    to: Annotated[LoraLayout, typer.Option(help="Whose layout: see docs/reference/lora-files.md.")],
    output: Annotated[Path, typer.Option(help="The file to write.")],
    header: Annotated[
        LoraHeader,
        typer.Option(
            "--metadata",
            help="What the file says of its making: the same, only what programs need, nothing.",
        ),
    ] = LoraHeader.FULL,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file of that name.")
    ] = False,
) -> None:
    """Write FILE in another layout; its base model is not needed."""
    from modelgenerator.cli import lora as command

    command.convert(file, to=to, output=output, header=header, overwrite=overwrite)


@flow_app.command("check")
def flow_check(
    file: Annotated[Path, typer.Argument(help="A flow's definition in JSON5 or JSON.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Say everything that is wrong with the flow in FILE, and where; no server is needed."""
    from modelgenerator.cli import flow as command

    command.check_file(file, as_json=as_json)


@flow_app.command("run")
def flow_run(
    flow: Annotated[
        str, typer.Argument(help="A flow's definition in JSON5 or JSON, or a slug on the server.")
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="NAME=VALUE",
            help="What the flow's form asks for; NAME=@FOLDER uploads photos; may be repeated.",
        ),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(
            help="Address of a server [MODELGENERATOR_URL; without it one is started for this "
            "run]; its key is in MODELGENERATOR_API_KEY."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the results; results/<slug> without it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run FLOW, show how far it is, and download its results."""
    from modelgenerator.cli import flow_run as command

    command.run(flow, inputs=inputs or [], server=server, output=output, as_json=as_json)
