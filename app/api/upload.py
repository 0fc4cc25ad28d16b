"""Multipart bodies written to disk as they arrive, file by file, with limits on size and number.

The framework's own form reader keeps small files in memory and large ones open; a folder of ten thousand small images
would exhaust either. Here each part is one file in a private folder, closed before the next begins.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from app.api.values import announced_bytes
from app.services.line import go_on
from core.errors import InvalidInput, PromptoscopeError
from core.scratch import scratch_folder
from core.text import SENTENCE_LENGTH, fit_text, shown

MEGABYTE = 1024 * 1024
T = TypeVar("T")


class TooLarge(PromptoscopeError):
    """A request body beyond the limit."""

    code = "too_large"
    status = 413


@dataclass(frozen=True)
class UploadLimits:
    """What one request may bring. Limits after decompression are those of `core.images`."""

    max_bytes: int = 4096 * MEGABYTE
    max_files: int = 20_000
    max_field_bytes: int = MEGABYTE
    max_fields: int = 100
    max_field_length: int = SENTENCE_LENGTH
    max_name_length: int = 1024


@dataclass(frozen=True)
class ReceivedFile:
    """One uploaded file: the sender's name and where its bytes lie until the request ends."""

    name: str
    path: Path


class OnDemandFile(io.RawIOBase):
    """A file for reading that is open only while it is read: an upload may have more files than a process may open."""

    def __init__(self, path: Path) -> None:
        self._path, self._position = path, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._path.stat().st_size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        go_on()  # who reads an upload for a client that has left stops at the next file
        with self._path.open("rb", buffering=0) as file:
            file.seek(self._position)
            count = file.readinto(buffer)
        self._position += count
        return count


@dataclass
class ReceivedForm:
    """The text fields and files of a multipart body."""

    fields: dict[str, str] = field(default_factory=dict)
    files: list[ReceivedFile] = field(default_factory=list)

    def streams(self) -> list[tuple[str, BinaryIO]]:
        """(name, binary stream) of each file; see `OnDemandFile`."""
        return [(file.name, cast(BinaryIO, OnDemandFile(file.path))) for file in self.files]

    def required(self, name: str, example: str) -> str:
        """A text field that must not be empty."""
        value = self.fields.get(name, "").strip()
        if not value:
            raise InvalidInput(f"A form field '{name}', such as {example}", "found none", "Add the field.")
        return value


@asynccontextmanager
async def received_form(
    request: Request, folder: Path, limits: UploadLimits | None = None
) -> AsyncIterator[ReceivedForm]:
    """Read a multipart body into a private folder below `folder`, which is removed afterwards.

    Raises InvalidInput for another kind of body or a malformed one, TooLarge beyond the limits.
    """
    boundary = multipart_boundary(request)
    async with in_thread(scratch_folder(folder, "upload-")) as place:
        yield await _read(request, _FormWriter(place, limits or UploadLimits()), boundary)


@asynccontextmanager
async def in_thread(context: AbstractContextManager[T]) -> AsyncIterator[T]:
    """A context manager that waits for the disk, entered and left without holding up other requests."""
    entered = await run_in_threadpool(context.__enter__)
    try:
        yield entered
    except BaseException as error:
        # Shielded: the folder of a sender who has gone is removed all the same.
        await asyncio.shield(run_in_threadpool(context.__exit__, type(error), error, error.__traceback__))
        raise
    await asyncio.shield(run_in_threadpool(context.__exit__, None, None, None))


def multipart_boundary(request: Request) -> bytes:
    """The boundary of a multipart request. Raises InvalidInput for another content type."""
    kind, parameters = parse_options_header(request.headers.get("content-type", ""))
    boundary = parameters.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise InvalidInput(
            "A body of type multipart/form-data with a boundary",
            f"found {kind.decode('latin-1') or 'no content type'}",
            "Send the files as form data in the field 'files'.",
        )
    return boundary


async def _read(request: Request, writer: _FormWriter, boundary: bytes) -> ReceivedForm:
    _check_announced_size(request, writer.limits)
    received = 0
    try:
        parser = MultipartParser(boundary, cast("Any", writer.callbacks()))
        async for chunk in request.stream():
            received += len(chunk)
            if received > writer.limits.max_bytes:
                raise too_many_bytes(writer.limits)
            await run_in_threadpool(parser.write, chunk)
        parser.finalize()
    except ClientDisconnect:
        raise InvalidInput("A complete multipart body", "its sender went away", "Send the form again.") from None
    except FormParserError as error:
        raise InvalidInput("A well-formed multipart body", str(error), "Send the form again.") from None
    finally:
        writer.close()
    if not writer.is_complete:
        raise InvalidInput("A complete multipart body", "it ended before its closing boundary", "Send the form again.")
    return writer.form


def _check_announced_size(request: Request, limits: UploadLimits) -> None:
    if (announced_bytes(request.headers) or 0) > limits.max_bytes:
        raise too_many_bytes(limits)


def too_many_bytes(limits: UploadLimits) -> TooLarge:
    """The error for a body that is too large."""
    return TooLarge(
        f"At most {limits.max_bytes // MEGABYTE} MB in one upload",
        "found more",
        "Send the images in several uploads, or add a folder with 'promptoscope images add'.",
    )


class _FormWriter:
    """Callbacks of the parser: text fields into memory (bounded), files onto disk."""

    def __init__(self, folder: Path, limits: UploadLimits) -> None:
        self.folder, self.limits = folder, limits
        self.form = ReceivedForm()
        self.is_complete = False
        self._disposition, self._name, self._value = b"", b"", b""
        self._field = ""
        self._text = bytearray()
        self._file: BinaryIO | None = None

    def callbacks(self) -> dict[str, object]:
        """For the parser, by its names."""
        return {
            "on_part_begin": self._part_begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def close(self) -> None:
        """Close the file that an interrupted body left open."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _part_begin(self) -> None:
        self._disposition, self._text = b"", bytearray()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name, self._value = b"", b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._field = decoded(options.get(b"name", b""))
        if not self._field:
            raise InvalidInput("A name for every part of the form", "found a part without", "Name the part.")
        if b"filename" in options:
            self._open(decoded(options[b"filename"]))
        elif len(self.form.fields) >= self.limits.max_fields:
            raise TooLarge(f"At most {self.limits.max_fields} text fields", "found more", "Leave some out.")

    def _open(self, name: str) -> None:
        if len(self.form.files) >= self.limits.max_files:
            raise TooLarge(
                f"At most {self.limits.max_files} files in one upload", "found more", "Send a zip or several uploads."
            )
        path = self.folder / f"{len(self.form.files):06d}"
        self._file = path.open("xb")
        self.form.files.append(ReceivedFile(name[: self.limits.max_name_length], path))

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > self.limits.max_field_bytes:
            raise TooLarge(
                f"At most {self.limits.max_field_bytes} bytes in a text field",
                f"'{self._field[:60]}' has more",
                "Shorten it, or send it as a file.",
            )

    def _part_end(self) -> None:
        if self._file is not None:
            self.close()
        else:
            what = f"A form field '{shown(self._field, 60)}'"
            text, longest = decoded(bytes(self._text)), self.limits.max_field_length
            self.form.fields[self._field] = fit_text(text, what, longest=longest, may_be_empty=True)

    def _end(self) -> None:
        self.is_complete = True


def decoded(text: bytes) -> str:
    """Text as browsers send it (UTF-8), or byte by byte where it is something else."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")
