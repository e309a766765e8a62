"""`modelgenerator check`: are these photos good enough, before an hour is spent on them?

Comes in: where the photos are, and what they are meant to be trained with.  Goes out: a table, a
page and a sheet that show what would be trained, and the report as JSON.  Nothing is trained,
downloaded, or written beside the photos.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from modelgenerator.cli import check_page, check_sheet, check_table
from modelgenerator.cli.failures import USER_ERROR
from modelgenerator.cli.photos import PhotoOptions, looked_at
from modelgenerator.cli.progress import Reporter, Silence, reporter
from modelgenerator.cli.sheets import save_sheet
from modelgenerator.cli.training_request import written_settings
from modelgenerator.datasets.buckets import bucket_sizes, nearest_bucket
from modelgenerator.datasets.inspection.inspect import inspect
from modelgenerator.datasets.inspection.report import InspectionReport, Verdict
from modelgenerator.datasets.prepare import Preparation, PreparedDataset
from modelgenerator.datasets.segmenters.choice import choose_segmenter
from modelgenerator.datasets.views import Views, views_of
from modelgenerator.diffusion import hub
from modelgenerator.diffusion.aliases import BUILTIN
from modelgenerator.errors import OutputNotWritable
from modelgenerator.notices import Notice
from modelgenerator.settings import TrainingSettings
from modelgenerator.training.planning.objective import mask_shades
from modelgenerator.whole_files import write_whole

PAGE, SHEET, REPORT = "report.html", "sheet.png", "report.json"
VIEW_HEIGHT = 320  # pixels: sharp on the page, and small enough to be put into it
USUAL_STEP = 64  # pixels between the sizes of Stable Diffusion


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the photos are checked for."""

    photos: Path
    settings: TrainingSettings
    written: Mapping[str, object]
    """The same, as far as the person said it."""
    options: PhotoOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedSize:
    """In which the pictures are taken to be trained."""

    resolution: int
    step: int
    notices: tuple[Notice, ...] = ()
    """Who decided it, when nobody said."""


def run(
    photos: Path,
    *,
    resolution: int | None,
    prefix: str | None,
    base_model: str | None,
    settings_file: Path | None,
    assignments: Sequence[str],
    options: PhotoOptions,
    output: Path | None,
    as_json: bool,
) -> None:
    """Look at the photos, and say what to do; exit code 2 if they will not do."""
    written = written_settings(prefix, base_model, settings_file, assignments)
    if resolution is not None:
        written["resolution"] = resolution
    settings = TrainingSettings.from_written({"baseModel": BUILTIN, **written})
    wanted = Wanted(photos=photos, settings=settings, written=written, options=options)
    folder = output or Path("checks") / _safe(photos.resolve().stem)
    with Silence() if as_json else reporter(as_json=False) as progress:
        report = _checked(wanted, folder, progress)
    if as_json:
        typer.echo(_json(report), nl=False)
    else:
        _show(report, wanted, folder)
    if report.verdict is Verdict.NOT_USABLE:
        raise typer.Exit(USER_ERROR)


def _checked(wanted: Wanted, folder: Path, progress: Reporter) -> InspectionReport:
    """Look, judge, and write everything into `folder`."""
    dataset = _looked_at(wanted, progress)
    size = _size(wanted, dataset)
    report = inspect(dataset, resolution=size.resolution, kind=wanted.options.subject.kind)
    report = replace(report, notices=(*size.notices, *report.notices))
    views = _views(dataset, size, progress)
    title = f"Photos in {wanted.photos.resolve().name}"
    shades = mask_shades(wanted.settings)
    html = check_page.page(title, report, views, shades=shades, command=_train_command(wanted))
    _make(folder)
    write_whole(folder / PAGE, html.encode(), called="The page")
    save_sheet(check_sheet.sheet(title, report, views, shades=shades), folder / SHEET)
    write_whole(folder / REPORT, _json(report).encode(), called="The report")
    return report


def _looked_at(wanted: Wanted, progress: Reporter) -> PreparedDataset:
    """As a training would prepare them; the subject is looked for in any case."""
    settings, options = wanted.settings, wanted.options
    segmenter, notices = choose_segmenter(options.segmenter, options.subject.kind)
    how = Preparation(
        caption_prefix=settings.caption_prefix,
        normalize=settings.normalize_dataset,
        shades=mask_shades(settings),
        segmenter=segmenter,
    )
    dataset = looked_at(wanted.photos, how, progress)
    return replace(dataset, notices=(*notices, *dataset.notices))


def _size(wanted: Wanted, dataset: PreparedDataset) -> TrainedSize:
    """As a training would choose it, if a base model was named; without one, by the pictures."""
    settings = wanted.settings
    is_named, is_given = "baseModel" in wanted.written, settings.is_given("resolution")
    if not is_named and not is_given and not _are_pixel_art(dataset):
        message = (
            f"No base model was named, so the photos are checked for {settings.resolution} pixels: "
            "name it with --base-model, or the size with --resolution."
        )
        notice = Notice("info", "resolution", message)
        return TrainedSize(resolution=settings.resolution, step=USUAL_STEP, notices=(notice,))
    if not is_named and is_given:
        return TrainedSize(
            resolution=settings.resolution, step=min(USUAL_STEP, settings.resolution)
        )
    base = hub.look_at(settings.base_model)
    wished = base.native_size if base.is_builtin and not is_given else settings.resolution
    resolution = max(base.size_step, wished // base.size_step * base.size_step)
    return TrainedSize(resolution=resolution, step=base.size_step)


def _are_pixel_art(dataset: PreparedDataset) -> bool:
    """More than half of them: then they are meant for the embedded base model."""
    drawn = sum(
        picture.look is not None and picture.look.appearance.pixel_size > 1
        for picture in dataset.pictures
    )
    return drawn * 2 > len(dataset.pictures)


def _views(dataset: PreparedDataset, size: TrainedSize, progress: Reporter) -> dict[str, Views]:
    sizes = bucket_sizes(size.resolution, size.step)
    views: dict[str, Views] = {}
    for picture in dataset.pictures:
        bucket = nearest_bucket(picture.width, picture.height, sizes)
        views[picture.name] = views_of(picture, bucket, height=VIEW_HEIGHT)
        progress.count("drawing the report", len(views), len(dataset.pictures))
    return views


def _show(report: InspectionReport, wanted: Wanted, folder: Path) -> None:
    check_table.show(report)
    for what, file in (("page", PAGE), ("sheet", SHEET), ("for programs", REPORT)):
        typer.echo(f"{what}: {folder / file}")
    typer.echo(f"train with: {_train_command(wanted)}")


def _train_command(wanted: Wanted) -> str:
    """With what was said; words in capitals are still to be said."""
    written, options = dict(wanted.written), wanted.options
    prefix = written.pop("captionPrefix", "WORD")
    base = written.pop("baseModel", None)
    words = ["modelgenerator", "train", str(wanted.photos), "--prefix", str(prefix)]
    if base is not None:
        words += ["--base-model", str(base)]
    if options.subject.kind is not None:
        words += ["--kind", options.subject.kind.value]
    if options.subject.class_name:
        words += ["--class-name", options.subject.class_name]
    if options.segmenter != PhotoOptions().segmenter:
        words += ["--segmenter", options.segmenter]
    for name, value in written.items():
        words.append(f"--set={name}={json.dumps(value) if not isinstance(value, str) else value}")
    return shlex.join(words)


def _json(report: InspectionReport) -> str:
    return json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputNotWritable(
            f"The output folder {folder} cannot be written: {error.strerror}. "
            "Choose another one with --output."
        ) from error


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name) or "photos"
