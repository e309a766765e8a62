"""The files of a form, written to disk as they arrive.

In: a request whose body may be larger than the memory.  Out: one file for each that was sent, in a
folder that goes when the answer has been given, and the texts of the form where those are expected.
What is in them is not known here.
"""

import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from uuid import uuid4

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from modelgenerator.datasets.sources import FolderFile
from modelgenerator.service.errors import (
    InvalidValue,
    StorageFull,
    TooLarge,
    UnsupportedFile,
)
from modelgenerator.service.operations.service import Service

_AT_ONCE = 1 << 18
"""Bytes for which a thread is taken."""
_LONGEST_HEADER = 8_000
_MOST_HEADERS = 20
"""Of one part."""
_MOST_VALUES = 2_000
_MOST_TEXT = 2_000_000
"""Bytes of all the texts in a form."""
FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "files": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                        }
                    },
                }
            }
        },
    }
}
"""How OpenAPI shows such a body."""


@dataclass(frozen=True, slots=True)
class ReceivedForm:
    """What a form brought."""

    values: list[tuple[str, str]]
    """Names and texts of its fields."""
    files: list[tuple[str, FolderFile]]
    """Each with the name of the field that it was chosen in."""
    folder: Path
    """In which they lie, and which has room for more."""

    @property
    def sent(self) -> list[tuple[str, str]]:
        """All of it, files by name and size: what tells one form from another."""
        files = [(field, f"{file.name} {file.size}") for field, file in self.files]
        return [*self.values, *files]

    def value(self, name: str) -> str | None:
        """The first text with this name."""
        return next((text for field, text in self.values if field == name), None)


@asynccontextmanager
async def received_form(request: Request, service: Service) -> AsyncGenerator[ReceivedForm, None]:
    """A form with texts and with files, of which there may be none.

    Raises:
        UnsupportedFile: it is no form.
        InvalidValue: it breaks off, or its texts are not UTF-8.
        TooLarge: too many files, or too much text.
        StorageFull: they do not fit onto the disk.
    """
    async with _received(request, service, takes_values=True) as (form, folder):
        yield ReceivedForm(form.values, list(zip(form.fields, form.files, strict=True)), folder)


@asynccontextmanager
async def received_files(
    request: Request, service: Service
) -> AsyncGenerator[tuple[list[FolderFile], Path], None]:
    """The files of the form, and the folder that they lie in, which has room for more.

    Raises:
        UnsupportedFile: it is no form.
        InvalidValue: it breaks off, or has no file.
        TooLarge: too many files.
        StorageFull: they do not fit onto the disk.
    """
    async with _received(request, service, takes_values=False) as (form, folder):
        if not form.files:
            raise InvalidValue("There is no file in this form.", field="files")
        yield form.files, folder


@asynccontextmanager
async def _received(
    request: Request, service: Service, *, takes_values: bool
) -> AsyncGenerator[tuple["_Form", Path], None]:
    boundary = _boundary_of(request)
    folder = service.spool_folder()
    form = _Form(boundary, folder, service.config.upload_files, takes_values=takes_values)
    try:
        await _receive(request, form)
        yield form, folder
    finally:
        form.close()
        await run_in_threadpool(shutil.rmtree, folder, ignore_errors=True)


async def _receive(request: Request, form: "_Form") -> None:
    pieces = bytearray()
    try:
        async for piece in request.stream():
            pieces += piece
            if len(pieces) >= _AT_ONCE:
                await run_in_threadpool(form.write, bytes(pieces))
                pieces.clear()
        await run_in_threadpool(form.write, bytes(pieces))
    except ClientDisconnect:
        raise InvalidValue("The connection was cut before all of it came.") from None
    form.check_end()


def _boundary_of(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise UnsupportedFile("Send a form with files: multipart/form-data.")
    return boundary


class _Form:
    """Writes each file of a form as its pieces come, and keeps its texts."""

    def __init__(self, boundary: bytes, folder: Path, most: int, *, takes_values: bool) -> None:
        self.files: list[FolderFile] = []
        self.fields: list[str] = []
        """Of each file, the one that it was chosen in."""
        self.values: list[tuple[str, str]] = []
        self._takes_values, self._text_left = takes_values, _MOST_TEXT
        self._text = bytearray()
        self._part = ""
        """The name of the field that comes."""
        self._folder, self._most = folder, most
        self._headers: dict[bytes, bytes] = {}
        self._field, self._value = b"", b""
        self._file: BufferedWriter | None = None
        self._path, self._name = Path(), ""
        self._parts_left = most + _MOST_VALUES
        self._is_complete = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._on_field,
                "on_header_value": self._on_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._begin_content,
                "on_part_data": self._on_data,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    def write(self, piece: bytes) -> None:
        """Raises InvalidValue, TooLarge, StorageFull."""
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise InvalidValue("This form is damaged.") from error
        except OSError as error:
            raise StorageFull("There is no space left for what was sent.") from error

    def check_end(self) -> None:
        """Raises InvalidValue: the form breaks off."""
        if not self._is_complete:
            raise InvalidValue("This form breaks off before its end.")

    def close(self) -> None:
        """Nothing more is written."""
        if self._file is not None:
            self._file.close()

    def _begin_part(self) -> None:
        self._headers = {}
        self._parts_left -= 1
        if self._parts_left < 0:
            raise TooLarge("This form has too many parts. Send it in several.")

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field = _grown(self._field, data[start:end])

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value = _grown(self._value, data[start:end])

    def _end_header(self) -> None:
        if len(self._headers) >= _MOST_HEADERS:
            raise InvalidValue("A part of this form has too many headers.")
        self._headers[self._field.lower()] = self._value
        self._field, self._value = b"", b""

    def _begin_content(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"filename")
        self._part = _text(options.get(b"name", b""))
        if name is not None:
            self._begin_file(name)
        elif not self._takes_values:
            raise InvalidValue("Only files are expected in this form.", field=self._part[:100])
        else:
            self._count_text(len(self._part))

    def _begin_file(self, name: bytes) -> None:
        if len(self.files) >= self._most:
            raise TooLarge(f"An upload has at most {self._most:,} files. Send them in several.")
        self._name = _text(name)
        self._path = self._folder / uuid4().hex
        self._file = self._path.open("xb")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(memoryview(data)[start:end])
            return
        self._count_text(end - start)
        self._text += data[start:end]

    def _count_text(self, byte_count: int) -> None:
        self._text_left -= byte_count
        if self._text_left < 0:
            raise TooLarge(f"The texts of a form have at most {_MOST_TEXT:,} bytes.")

    def _end_part(self) -> None:
        if self._file is not None:
            self._end_file(self._file)
            return
        try:
            self.values.append((self._part, self._text.decode()))
        except UnicodeDecodeError:
            raise InvalidValue(
                "A text in this form is not UTF-8.", field=self._part[:100]
            ) from None
        self._text.clear()

    def _end_file(self, file: BufferedWriter) -> None:
        file.close()
        self._file = None
        size = self._path.stat().st_size
        # a browser sends a file without a name where nothing was chosen
        if not self._name and not size:
            self._path.unlink()
            return
        self.files.append(FolderFile(self._name, self._path, size))
        self.fields.append(self._part)

    def _end(self) -> None:
        self._is_complete = True


def _grown(begun: bytes, more: bytes) -> bytes:
    if len(begun) + len(more) > _LONGEST_HEADER:
        raise InvalidValue("The name of a file in this form is too long.")
    return begun + more


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("cp1252", "replace")
