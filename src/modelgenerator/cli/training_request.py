"""What a person asked a training for, with the base model and the photos looked at.

Comes in: the words of the command line, and on `--resume` the record of the training.  Goes out: a
`Request`, or a refusal.  Nothing is trained and nothing is written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelgenerator.cli import run_folder
from modelgenerator.cli.base_models import this_machine
from modelgenerator.cli.photos import PhotoOptions, prepared
from modelgenerator.cli.progress import Reporter
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.diffusion import hub, recommended
from modelgenerator.diffusion.aliases import BUILTIN
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.errors import CannotResume, InvalidSettings
from modelgenerator.settings import TrainingSettings
from modelgenerator.settings_files import parse_assignment, read_settings_file
from modelgenerator.training import checkpoint_files
from modelgenerator.training.plan import SAYS_NOTHING_OF_THE_LORA, TrainingPlan
from modelgenerator.training.planning.resolve import resolve


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The words of the command line."""

    photos: Path
    written: Mapping[str, object]
    """Settings, by the names that a person writes."""
    template: str | None
    options: PhotoOptions
    resume: bool
    output: Path | None
    processes: int

    @property
    def folder(self) -> Path:
        """Where the LoRA goes: by the trigger word, or by the photos' folder, if nobody says."""
        name = str(self.written.get("captionPrefix") or self.photos.resolve().stem)
        safe = "".join(c if c.isalnum() or c in "-_" else "-" for c in name) or "training"
        return self.output or Path("runs") / safe


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked for, with the base model and the photos looked at."""

    settings: TrainingSettings
    options: PhotoOptions
    base: BaseModelFiles
    dataset: PreparedDataset
    plan: TrainingPlan
    folder: Path


def written_settings(
    prefix: str | None,
    base_model: str | None,
    settings_file: Path | None,
    assignments: Sequence[str],
) -> dict[str, object]:
    """Settings file, then options, then --set: the later wins."""
    written = read_settings_file(settings_file) if settings_file else {}
    if prefix is not None:
        written["captionPrefix"] = prefix
    if base_model is not None:
        written["baseModel"] = base_model
    return written | dict(parse_assignment(text) for text in assignments)


def looked_at(asked: Asked, report: Reporter) -> Request:
    """Everything that can be known, and refused, before anything is downloaded or written."""
    written, options, commit = asked.written, asked.options, None
    if asked.resume:
        written, options, commit = _resumed(asked)
    base = hub.look_at(str(written.get("baseModel") or BUILTIN), pinned=commit)
    settings = TrainingSettings.from_written(
        {"baseModel": base.reference, **_template(asked.template, base), **written}
    )
    dataset = prepared(asked.photos, settings, options, report)
    machine = this_machine(asked.processes)
    plan = resolve(settings, dataset, base, machine, processes=asked.processes)
    return Request(
        settings=settings,
        options=options,
        base=base,
        dataset=dataset,
        plan=plan,
        folder=asked.folder,
    )


def _resumed(asked: Asked) -> tuple[Mapping[str, object], PhotoOptions, str | None]:
    """What the training began with, and the commit if the base model has one.

    Something else may not be asked for now.

    Raises:
        CannotResume: no training was started here, it is finished, or a setting differs.
    """
    folder = asked.folder
    record = run_folder.read_plan(folder)
    if (folder / run_folder.LORA).exists() and not checkpoint_files.are_in(folder):
        raise CannotResume(
            f"The training in {folder} is finished: {folder / run_folder.LORA}. "
            "Train again with --overwrite, or into another folder with --output."
        )
    kept: dict[str, object] = record["settings"]
    options = PhotoOptions.from_json(record.get("photos", {}))
    changed = [name for name, value in asked.written.items() if kept.get(name) != value]
    changed += asked.options.changes(options)
    if changed:
        raise CannotResume(
            f"The training in {folder} was started with another {' and '.join(changed)}. "
            "Leave that out to go on with it, or start a new one with --output."
        )
    revision = str(record["plan"].get("base_revision", ""))
    return kept, options, revision if hub.COMMIT.fullmatch(revision) else None


def _template(name: str | None, base: BaseModelFiles) -> dict[str, object]:
    if name is None:
        return {}
    if name != "recommended":
        raise InvalidSettings(
            f"There is no template {name!r}: the one there is, is 'recommended', the base model's "
            "own. Settings of yours go into a file: --settings FILE."
        )
    return recommended.training_settings(base)


def require_same(request: Request) -> None:
    """Raises CannotResume when photos, base model or machine are not what they were."""
    kept = run_folder.read_plan(request.folder)
    if kept["digest"] == request.plan.digest:
        return
    now = request.plan.as_json()
    changed = [name for name, value in kept["plan"].items() if now.get(name) != value]
    words = {
        "pictures": "photos",
        "dataset_fingerprint": "captions, masks or photos",
        "validation_pictures": "photos that are kept out",
        "base_revision": "the files of the base model",
    }
    names = [str(words.get(name, name)) for name in changed if name not in SAYS_NOTHING_OF_THE_LORA]
    raise CannotResume(
        f"The training in {request.folder} cannot go on, because this is not what it was: "
        f"{', '.join(names)}. Put it back, or start a new training with --output."
    )
