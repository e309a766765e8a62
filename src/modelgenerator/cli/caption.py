"""`modelgenerator caption`: words beside photos that have none.

Comes in: a folder of photos and what the person said of their subject.  Goes out: a `.txt` beside
each photo, to be read, mended, and trained with.
"""

from collections.abc import Sequence
from pathlib import Path

from modelgenerator.captioning.caption_files import write_caption
from modelgenerator.captioning.captioner import Captioner
from modelgenerator.captioning.captions import (
    CaptioningNoticed,
    Length,
    PictureCaptioned,
    caption_pictures,
)
from modelgenerator.captioning.choose import Choice, choose_captioner
from modelgenerator.captioning.subject_words import words_for
from modelgenerator.captioning.template import TEMPLATE
from modelgenerator.cli.progress import Reporter, reporter
from modelgenerator.content_cache import user_cache
from modelgenerator.datasets.captions import with_prefix
from modelgenerator.datasets.prepare import Picture, PreparedDataset, prepare
from modelgenerator.datasets.subject import Subject
from modelgenerator.errors import CaptionerUnavailable, UnusableDataset


def run(
    photos: Path,
    *,
    captioner: str,
    subject: Subject,
    prefix: str | None,
    max_tokens: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Caption what has no caption, or all of it, and say what was written."""
    length = Length(max_tokens).beside(prefix)
    with reporter(as_json=as_json) as report:
        report.phase("looking at the photos")
        _require_folder(photos)
        choice = choose_captioner(captioner, subject)
        _require_words(choice, subject, prefix)
        dataset = prepare(photos)
        _say_of_photos(dataset, report)
        pictures = _to_caption(dataset.pictures, overwrite=overwrite)
        written = 0
        if pictures:
            report.notice(choice.notice)
        if choice.captioner and pictures:
            report.phase("captioning")
            written = _caption(photos, pictures, choice.captioner, subject, prefix, length, report)
        _say_of_result(written, len(dataset.pictures), len(pictures), report)
        if written:
            report.result("next", _next(photos, prefix))


def _require_folder(photos: Path) -> None:
    """Raises UnusableDataset for an archive or a single photo: captions go beside the photos."""
    if photos.is_file():
        raise UnusableDataset(
            f"{photos} is a file, and captions are written beside the photos. Give the folder that "
            "holds the pictures; unpack an archive first."
        )


def _require_words(choice: Choice, subject: Subject, prefix: str | None) -> None:
    """Raises CaptionerUnavailable when not a single word would be written."""
    is_template = choice.captioner is not None and choice.captioner.name == TEMPLATE
    if is_template and not (words_for(subject) or prefix):
        raise CaptionerUnavailable(
            "There are no words to write: say what the subject is: --class-name woman, or choose a "
            "captioner that looks at the photos: --captioner florence2"
        )


def _say_of_photos(dataset: PreparedDataset, report: Reporter) -> None:
    for refused in dataset.refused:
        report.result("cannot be used", f"{refused.name}: {refused.reason}")
    for notice in dataset.notices:
        if notice.setting is None:  # the others are advice for a training
            report.notice(notice)


def _to_caption(pictures: Sequence[Picture], *, overwrite: bool) -> list[Picture]:
    """One for each caption file: `a.jpg` and `a.png` share theirs."""
    wanted = [picture for picture in pictures if overwrite or not picture.caption]
    return list({Path(picture.name).stem: picture for picture in reversed(wanted)}.values())[::-1]


def _caption(
    folder: Path,
    pictures: Sequence[Picture],
    captioner: Captioner,
    subject: Subject,
    prefix: str | None,
    length: Length,
    report: Reporter,
) -> int:
    """Each caption is written as soon as it is made; how many were."""
    written = 0
    cache = user_cache("captions")
    for event in caption_pictures(pictures, captioner, cache=cache, subject=subject, length=length):
        match event:
            case PictureCaptioned():
                text = with_prefix(event.caption, prefix)
                if text:
                    file = write_caption(folder / event.name, text, event)
                    report.result(file.name, f"{text} [{event.captioner}]")
                    written += 1
                report.count("captions", event.done, event.total)
            case CaptioningNoticed():
                report.notice(event.notice)
            case _:
                report.count("MB", event.bytes_done // 10**6, event.bytes_total // 10**6)
    return written


def _say_of_result(written: int, total: int, wanted: int, report: Reporter) -> None:
    kept = total - wanted
    had = f"; {kept} had theirs and kept them" if kept else ""
    report.result("captions written", f"{written} for {total} pictures{had}")


def _next(photos: Path, prefix: str | None) -> str:
    word = f" --prefix {prefix}" if prefix else ""
    return f"read and mend the .txt files, then: modelgenerator train {photos}{word}"
