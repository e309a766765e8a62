"""An archive as a job: what earlier steps of a run left, in one file.

In: a `ZipSpec`, the storage.  Out: messages, and the archive in the storage.  Files go through it
piece by piece; what lies in memory whole is one picture, and only when it must become a JPEG.
"""

import io
import zipfile
from collections.abc import Generator, Iterator
from pathlib import Path

from PIL import Image

from modelgenerator.service.errors import FileDamaged
from modelgenerator.service.jobs.bodies import Tools, kept
from modelgenerator.service.jobs.faults import failed
from modelgenerator.service.jobs.messages import (
    Assignment,
    Message,
    Phase,
    PhaseBegun,
    Progressed,
    Stopped,
    Succeeded,
)
from modelgenerator.service.records.job_specs import ZipEntry, ZipResult, ZipSpec
from modelgenerator.service.store.files import Counted, Files

_LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The same files give the same archive."""
_JPEG = b"\xff\xd8\xff"
_QUALITY = 95


def run(assignment: Assignment, tools: Tools) -> Generator[Message, None, None]:
    """One attempt at an archive."""
    try:
        yield from _steps(assignment, tools)
    except Exception as error:  # noqa: BLE001  whatever it is, the job ends with it
        yield failed(error)


def _steps(assignment: Assignment, tools: Tools) -> Generator[Message, None, None]:
    spec = ZipSpec.from_json(assignment.spec)
    archive = tools.folder / "archive.zip"
    yield PhaseBegun(Phase.WRITING)
    with zipfile.ZipFile(archive, "w") as writer:
        for number, entry in enumerate(spec.entries, start=1):
            _write(writer, entry, tools.files)
            yield Progressed({"step": number, "totalSteps": len(spec.entries)})
            if tools.stop.is_set():
                yield Stopped()
                return
    yield PhaseBegun(Phase.SAVING)
    key = f"{spec.storage_prefix}/attempts/{assignment.name}/archive.zip"
    stored = kept(tools.files, key, archive)
    result = ZipResult(storage_key=stored.key, sha256=stored.sha256, byte_count=stored.byte_count)
    yield Succeeded(result.as_json())


def _write(writer: zipfile.ZipFile, entry: ZipEntry, files: Files) -> None:
    info = zipfile.ZipInfo(entry.name, _LONG_AGO)
    is_text = entry.text is not None
    # pictures and weights do not get smaller
    info.compress_type = zipfile.ZIP_DEFLATED if is_text else zipfile.ZIP_STORED
    info.external_attr = 0o644 << 16
    with writer.open(info, "w", force_zip64=True) as file:
        for chunk in _content(entry, files):
            file.write(chunk)


def _content(entry: ZipEntry, files: Files) -> Iterator[bytes]:
    if entry.text is not None:
        yield entry.text.encode()
        return
    assert entry.storage_key is not None, "an entry is a text or a file"
    counted = Counted(files.stream(entry.storage_key))
    chunks = iter(counted)
    first = next(chunks, b"")
    if _is_called_jpeg(entry.name) and not first.startswith(_JPEG):
        content = b"".join((first, *chunks))
        _check(entry, counted)
        yield _as_jpeg(content)
        return
    yield first
    yield from chunks
    _check(entry, counted)


def _check(entry: ZipEntry, counted: Counted) -> None:
    if entry.sha256 is not None and counted.sha256 != entry.sha256:
        raise FileDamaged(f"The file of {entry.name} is not what was stored.")


def _is_called_jpeg(name: str) -> bool:
    return Path(name).suffix.lower() in (".jpg", ".jpeg")


def _as_jpeg(content: bytes) -> bytes:
    """A picture of ours in the format that its name says."""
    jpeg = io.BytesIO()
    with Image.open(io.BytesIO(content)) as picture:
        exif = picture.getexif()
        picture.convert("RGB").save(jpeg, format="JPEG", quality=_QUALITY, exif=exif)
    return jpeg.getvalue()
