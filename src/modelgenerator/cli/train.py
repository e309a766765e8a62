"""`modelgenerator train`: the photo's story as one command.

Comes in: a folder of photos and what the person set.  Goes out: a folder with the LoRA, its plan,
its events, a contact sheet and a loss curve.  The work is done by the library; here it is put in
order and shown.
"""

import signal
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import typer

from modelgenerator.cli import loss_curve, plan_table, run_folder
from modelgenerator.cli.base_models import in_words, load_base, this_machine
from modelgenerator.cli.progress import Reporter, reporter
from modelgenerator.datasets.prepare import PreparedDataset, prepare
from modelgenerator.diffusion import hub, recommended
from modelgenerator.diffusion.aliases import BUILTIN
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.errors import CannotResume, InvalidSettings
from modelgenerator.settings import ImageSettings, TrainingSettings
from modelgenerator.settings_files import parse_assignment, read_settings_file
from modelgenerator.training import checkpoint_files
from modelgenerator.training.events import Finished, StepFinished
from modelgenerator.training.plan import SAYS_NOTHING_OF_THE_LORA, TrainingPlan
from modelgenerator.training.planning.resolve import resolve

if TYPE_CHECKING:  # it imports torch: a wrong word is answered without
    from modelgenerator.diffusion.family import ModelFamily

INTERRUPTED = 130


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the person asked for, with the base model and the photos looked at."""

    settings: TrainingSettings
    base: BaseModelFiles
    dataset: PreparedDataset
    plan: TrainingPlan
    folder: Path


def run(
    photos: Path,
    *,
    prefix: str | None,
    base_model: str | None,
    settings_file: Path | None,
    assignments: Sequence[str],
    template: str | None,
    output: Path | None,
    resume: bool,
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train, and say where everything is."""
    written = _written(prefix, base_model, settings_file, assignments)
    folder = output or Path("runs") / _name(photos, written)
    if dry_run:
        _show_plan(photos, written, template, folder, resume=resume, as_json=as_json)
        return
    with reporter(as_json=as_json) as report:
        report.phase("looking at the base model and the photos")
        commit = None
        if resume:
            written, commit = _resumed(folder, written)
        request = _request(photos, written, template, folder, commit)
        with run_folder.claimed(folder, may_hold_training=resume or overwrite):
            _say(request, report)
            if resume:
                _require_same(request)
            plan = request.plan
            base = load_base(request.base, plan.compute_dtype, report)
            if not resume:  # nothing that could be refused is left: now the old one may go
                run_folder.make_room(folder)
                run_folder.write_plan(folder, request.settings.given(), request.plan)
            if _train(request, base, report, resume=resume):
                _show(request, base, report)
                return
    report.result("go on with", _resume_command(photos, folder))
    raise typer.Exit(INTERRUPTED)


def _show_plan(
    photos: Path,
    written: dict[str, object],
    template: str | None,
    folder: Path,
    *,
    resume: bool,
    as_json: bool,
) -> None:
    """What would be done; nothing is written, and nothing downloaded but descriptions."""
    commit = None
    if resume:
        written, commit = _resumed(folder, written)
    request = _request(photos, written, template, folder, commit)
    if as_json:
        record = run_folder.plan_record(request.settings.given(), request.plan)
        typer.echo(run_folder.plan_text(record), nl=False)
        return
    with reporter(as_json=False) as report:
        _say_of_photos(request, report)
    plan_table.show(request.settings, request.plan)


def _written(
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


def _name(photos: Path, written: Mapping[str, object]) -> str:
    """A folder name from the trigger word, or from the photos' folder."""
    name = str(written.get("captionPrefix") or photos.resolve().name)
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name) or "training"


def _resumed(folder: Path, written: Mapping[str, object]) -> tuple[dict[str, object], str | None]:
    """The settings that the training began with, and the commit if the base model has one.

    Others may not be given now.

    Raises:
        CannotResume: no training was started here, it is finished, or a setting differs.
    """
    record = run_folder.read_plan(folder)
    kept: dict[str, object] = record["settings"]
    if (folder / run_folder.LORA).exists() and not checkpoint_files.are_in(folder):
        raise CannotResume(
            f"The training in {folder} is finished: {folder / run_folder.LORA}. "
            "Train again with --overwrite, or into another folder with --output."
        )
    changed = [name for name, value in written.items() if kept.get(name) != value]
    if changed:
        raise CannotResume(
            f"The training in {folder} was started with another {' and '.join(changed)}. "
            "Leave that out to go on with it, or start a new one with --output."
        )
    revision = str(record["plan"].get("base_revision", ""))
    return kept, revision if hub.COMMIT.fullmatch(revision) else None


def _request(
    photos: Path,
    written: dict[str, object],
    template: str | None,
    folder: Path,
    commit: str | None,
) -> Request:
    base = hub.look_at(str(written.get("baseModel") or BUILTIN), pinned=commit)
    settings = TrainingSettings.from_written(
        {"baseModel": base.reference, **_template(template, base), **written}
    )
    dataset = prepare(
        photos, caption_prefix=settings.caption_prefix, with_masks=settings.masked_loss
    )
    plan = resolve(settings, dataset, base, this_machine())
    return Request(settings=settings, base=base, dataset=dataset, plan=plan, folder=folder)


def _template(name: str | None, base: BaseModelFiles) -> dict[str, object]:
    if name is None:
        return {}
    if name != "recommended":
        raise InvalidSettings(
            f"There is no template {name!r}: the one there is, is 'recommended', the base model's "
            "own. Settings of yours go into a file: --settings FILE."
        )
    return recommended.training_settings(base)


def _require_same(request: Request) -> None:
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


def _say(request: Request, report: Reporter) -> None:
    """Everything the person should know before the first step."""
    _say_of_photos(request, report)
    for notice in request.plan.notices:
        report.notice(notice)
    plan = request.plan
    report.result("base model", in_words(request.base))
    report.result("pictures", str(len(plan.pictures)))
    report.result(
        "plan",
        f"{plan.total_steps} steps ({plan.epochs} epochs of {plan.steps_per_epoch}), batches of "
        f"{plan.batch_size}, {plan.optimizer}, rank {plan.network_dim}, seed {plan.seed}",
    )
    if plan.memory_bytes:
        report.result("memory", f"about {plan.memory_bytes / 1e9:.1f} GB at its peak")


def _say_of_photos(request: Request, report: Reporter) -> None:
    for refused in request.dataset.refused:
        report.result("cannot be used", f"{refused.name}: {refused.reason}")
    for notice in request.dataset.notices:
        report.notice(notice)


def _train(request: Request, base: "ModelFamily", report: Reporter, *, resume: bool) -> bool:
    """Whether the training came to its end."""
    # torch comes with these, and everything that can be refused was refused without it
    from modelgenerator.training import checkpoint
    from modelgenerator.training.cache import user_cache
    from modelgenerator.training.teach import teach

    plan, folder = request.plan, request.folder
    saved = None
    if resume and checkpoint_files.are_in(folder):
        saved = checkpoint.read(folder, plan_digest=plan.digest)
    elif resume:
        report.result("no checkpoint yet", "the training begins again at its first step")
    report.phase("encoding and training")
    events = teach(plan, request.dataset, base, folder, cache=user_cache(), resume_from=saved)
    step = saved.step if saved else 0
    with closing(events), run_folder.recorded(folder) as lines, _stop_button() as stop:
        for event in events:
            run_folder.record(lines, event)
            report.event(event)
            if isinstance(event, StepFinished):
                step = event.step
            if isinstance(event, Finished):
                report.result("LoRA", str(event.lora_file))
                return True
            if stop.is_pressed:
                break
    report.result("stopped", _kept(request, told=step))
    return False


def _kept(request: Request, *, told: int) -> str:
    """What the checkpoint holds now: a full disk may have refused the last one.

    On a GPU it may hold a step more than was `told`.
    """
    from modelgenerator.training import checkpoint

    try:
        kept = checkpoint.read(request.folder, plan_digest=request.plan.digest).step
    except CannotResume:
        kept = 0
    total = request.plan.total_steps
    if kept >= told:
        return f"after step {kept} of {total}; the work is kept"
    return (
        f"after step {told} of {total}; the checkpoint could not be written, so only {kept} steps "
        "are kept. Is the disk full?"
    )


class _Stop:
    is_pressed = False


@contextmanager
def _stop_button() -> Generator[_Stop, None, None]:
    """Ctrl-C and a polite kill stop after the step that is running; a second one stops at once."""
    stop = _Stop()

    def press(_number: int, _frame: FrameType | None) -> None:
        if stop.is_pressed:
            raise KeyboardInterrupt
        stop.is_pressed = True

    before = {number: signal.signal(number, press) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _show(request: Request, base: "ModelFamily", report: Reporter) -> None:
    """Draw the same prompts from the same noise without and with the LoRA."""
    from modelgenerator.cli.sheets import before_and_after, save_sheet
    from modelgenerator.lora import files

    folder, plan = request.folder, request.plan
    report.phase("drawing the contact sheet")
    curve = folder / "loss.png"
    name = plan.caption_prefix or folder.name
    validation = [
        (epoch * plan.steps_per_epoch, loss) for epoch, loss in run_folder.validation_losses(folder)
    ]
    loss_curve.draw(run_folder.losses(folder), curve, title=name, validation=validation)
    prompts = recommended.sheet_prompts(request.base, plan.caption_prefix or "the subject")
    wishes = [
        ImageSettings.from_written(
            {
                "prompt": prompt,
                "seed": plan.seed % 2**31,
                "count": _pictures_per_prompt(request.base, base),
                "steps": recommended.image_defaults(request.base).steps,
            }
        )
        for prompt in prompts
    ]
    lora = files.load(folder / run_folder.LORA)
    title = f"{name}: {plan.total_steps} steps on {plan.base_model}"
    sheet = before_and_after(title, request.dataset, wishes, request.base, base, lora, report)
    save_sheet(sheet, folder / "contact-sheet.png")
    report.result("contact sheet", str(folder / "contact-sheet.png"))
    report.result("loss curve", str(curve))
    report.result(
        "next", f'modelgenerator generate --model {folder} --prompt "{prompts[0]}" --count 4'
    )


def _pictures_per_prompt(files: BaseModelFiles, base: "ModelFamily") -> int:
    """One where a picture takes minutes: a large base model on a CPU."""
    return 1 if base.device.type == "cpu" and files.native_size > 128 else 4


def _resume_command(photos: Path, folder: Path) -> str:
    return f"modelgenerator train {photos} --output {folder} --resume"
