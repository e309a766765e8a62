"""`modelgenerator train`: the photo's story as one command.

Comes in: a folder of photos and what the person set.  Goes out: a folder with the LoRA, its plan,
its events, a contact sheet and a loss curve.  The work is done by the library; here it is put in
order and shown.
"""

import signal
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import typer

from modelgenerator.cli import loss_curve, plan_table, run_folder
from modelgenerator.cli.base_models import bring_base, in_words, load_base
from modelgenerator.cli.photos import PhotoOptions
from modelgenerator.cli.progress import Reporter, Silence, reporter
from modelgenerator.cli.training_request import (
    Asked,
    Request,
    looked_at,
    require_same,
    written_settings,
)
from modelgenerator.diffusion import recommended
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.errors import CannotResume
from modelgenerator.settings import ImageSettings
from modelgenerator.training import checkpoint_files
from modelgenerator.training.events import Event, Finished, StepFinished

if TYPE_CHECKING:  # it imports torch: a wrong word is answered without
    from modelgenerator.diffusion.family import ModelFamily
    from modelgenerator.training.checkpoint import Checkpoint

INTERRUPTED = 130


def run(
    photos: Path,
    *,
    prefix: str | None,
    base_model: str | None,
    settings_file: Path | None,
    assignments: Sequence[str],
    template: str | None,
    options: PhotoOptions,
    output: Path | None,
    processes: int,
    resume: bool,
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train, and say where everything is."""
    asked = Asked(
        photos=photos,
        written=written_settings(prefix, base_model, settings_file, assignments),
        template=template,
        options=options,
        resume=resume,
        output=output,
        processes=processes,
    )
    if dry_run:
        _show_plan(asked, as_json=as_json)
        return
    with reporter(as_json=as_json) as report:
        report.phase("looking at the base model and the photos")
        request = looked_at(asked, report)
        with run_folder.claimed(request.folder, may_hold_training=resume or overwrite):
            _say(request, report)
            if resume:
                require_same(request)
            teacher = _teacher(request, report)
            if _train(request, teacher, report, resume=resume):
                _show(request, teacher, report)
                return
    report.result("go on with", _resume_command(photos, request))
    raise typer.Exit(INTERRUPTED)


def _show_plan(asked: Asked, *, as_json: bool) -> None:
    """What would be done; nothing is written, and nothing downloaded but descriptions."""
    if as_json:
        request = looked_at(asked, Silence())
        typer.echo(run_folder.plan_text(_record(request)), nl=False)
        return
    with reporter(as_json=False) as report:
        request = looked_at(asked, report)
        _say_of_photos(request, report)
    plan_table.show(request.settings, request.plan)


def _record(request: Request) -> dict[str, object]:
    """What is kept, so that it can be repeated."""
    record = run_folder.plan_record(request.settings.given(), request.plan)
    return {**record, "photos": request.options.as_json()}


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
        each = f" in each of {plan.processes} processes" if plan.processes > 1 else ""
        report.result("memory", f"about {plan.memory_bytes / 1e9:.1f} GB at its peak{each}")


def _say_of_photos(request: Request, report: Reporter) -> None:
    for refused in request.dataset.refused:
        report.result("cannot be used", f"{refused.name}: {refused.reason}")
    for notice in request.dataset.notices:
        report.notice(notice)


@dataclass(frozen=True)
class _Teacher:
    """Who does the training: this process, or several that it starts."""

    teach: "Callable[..., Generator[Event, None, None]]"
    base: "Callable[[], ModelFamily]"
    """Loaded here; for several processes only after them, whose memory it would take."""


def _teacher(request: Request, report: Reporter) -> _Teacher:
    """With the base model brought here."""
    # torch comes with these, and everything that can be refused was refused without it
    from modelgenerator.training.parallel import together
    from modelgenerator.training.teach import teach

    plan = request.plan
    if plan.processes == 1:
        base = load_base(request.base, plan.compute_dtype, report)
        return _Teacher(partial(teach, plan, request.dataset, base), lambda: base)
    files = bring_base(request.base, report)
    return _Teacher(
        partial(together.teach, plan, request.dataset, files),
        lambda: load_base(files, plan.compute_dtype, report),
    )


def _train(request: Request, teacher: _Teacher, report: Reporter, *, resume: bool) -> bool:
    """Whether the training came to its end."""
    from modelgenerator.content_cache import user_cache

    folder, saved = request.folder, _saved(request, report) if resume else None
    report.phase("encoding and training")
    step = saved.step if saved else 0
    with (
        _stop_button() as stop,
        closing(teacher.teach(folder, cache=user_cache("encoded"), resume_from=saved)) as events,
    ):
        first = next(events)  # by now several processes have loaded the base model, too
        if not resume:  # nothing that could be refused is left: now the old one may go
            run_folder.make_room(folder)
            run_folder.write_plan(folder, _record(request))
        with run_folder.recorded(folder) as lines:
            for event in chain([first], events):
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


def _saved(request: Request, report: Reporter) -> "Checkpoint | None":
    """What the training goes on from."""
    from modelgenerator.training import checkpoint

    if checkpoint_files.are_in(request.folder):
        return checkpoint.read(request.folder, plan_digest=request.plan.digest)
    report.result("no checkpoint yet", "the training begins again at its first step")
    return None


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


def _show(request: Request, teacher: _Teacher, report: Reporter) -> None:
    """Draw the same prompts from the same noise without and with the LoRA."""
    from modelgenerator.cli.sheets import before_and_after, save_sheet
    from modelgenerator.lora import files

    folder, plan, base = request.folder, request.plan, teacher.base()
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


def _resume_command(photos: Path, request: Request) -> str:
    processes = request.plan.processes
    more = f" --processes {processes}" if processes > 1 else ""
    return f"modelgenerator train {photos} --output {request.folder} --resume{more}"
