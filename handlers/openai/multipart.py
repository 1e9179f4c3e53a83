"""A form of `multipart/form-data` as it arrives: the file goes to the disk, fields stay in memory.

The file's name is never looked at: a caller chooses it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from core.errors import EmptyAudio, InvalidRequest, SourceTooLarge
from core.media.job_folder import disk_errors
from core.media.origin import too_large
from handlers.openai.brackets import Texts, gather

FILE = "file"
MAX_FIELDS = 1_500
"""The most fields of a form: a vector of 1,024 numbers, 200 phrases and 100 key terms, each spelled
as a field of its own, and all others.
"""
MAX_FIELD_BYTES = 16_000_000
"""Of all fields together: 20,000 turns have 2 MB, and four voices of 10 s, as wav of 44.1 kHz with
two channels in base64, have 9.
"""
_ENVELOPE_BYTES = 200 * MAX_FIELDS
"""What the boundaries and headers of a form may add."""


@dataclass(slots=True)
class Upload:
    """A form that was received."""

    fields: Texts = field(default_factory=dict)
    """Without the brackets of names such as `include[]`, in the order received."""
    file: Path | None = None
    spelled: dict[str, object] = field(default_factory=dict)
    """What the brackets of names such as `replace[a]` spell."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How large a recording may be."""

    max_bytes: int
    refusal: Callable[[int], SourceTooLarge] = too_large
    """Makes the error for a larger one, of `max_bytes`."""

    def check_file(self, length: int) -> None:
        """Raise SourceTooLarge for a file that is larger."""
        if length > self.max_bytes:
            raise self.refusal(self.max_bytes)

    def check_body(self, length: int) -> None:
        """Raise SourceTooLarge for a body that cannot be a form with such a file."""
        self.check_file(length - MAX_FIELD_BYTES - _ENVELOPE_BYTES)


async def receive(
    content_type: str, chunks: AsyncIterator[bytes], folder: Path, *, limit: Limit
) -> Upload:
    """Read a form; its file goes into `folder`.

    Raise InvalidRequest, SourceTooLarge as soon as the file is larger than the limit, EmptyAudio,
    DiskFailed, and whatever `chunks` raises.
    """
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise InvalidRequest(
            "the body must be multipart/form-data with the recording in the field file"
        )
    with disk_errors():
        reader = _Reader(folder / "upload", limit)
    try:
        parser = MultipartParser(boundary, reader.callbacks())  # type: ignore[arg-type]
        async for chunk in chunks:
            with disk_errors():
                reader.count(len(chunk))
                parser.write(chunk)
    except FormParserError:
        raise InvalidRequest("the body is not a form of multipart/form-data") from None
    finally:
        reader.close()
    return reader.upload()


class _Reader:
    """Takes what the parser finds."""

    def __init__(self, path: Path, limit: Limit) -> None:
        self._path, self._limit = path, limit
        self._sent: list[tuple[str, str]] = []
        self._file: BinaryIO | None = None
        self._received = self._file_bytes = self._field_bytes = self._count = 0
        self._headers: dict[bytes, bytes] = {}
        self._header, self._header_value, self._value = b"", b"", bytearray()
        self._name = ""
        self._is_file = self._is_complete = False

    def callbacks(self) -> dict[str, object]:
        """Return the parser's callbacks."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_header,
            "on_header_value": self._on_header_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._open,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._complete,
        }

    def count(self, received: int) -> None:
        """Count what came, whatever it is."""
        self._received += received
        self._limit.check_body(self._received)

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()

    def upload(self) -> Upload:
        """Return the form.

        Raise InvalidRequest if its end is missing or its fields' names make no sense, EmptyAudio.
        """
        if not self._is_complete:
            raise InvalidRequest("the form is cut short: its last boundary is missing")
        if self._file is not None and not self._file_bytes:
            raise EmptyAudio("the recording has no bytes; check that the upload was complete")
        texts, spelled = gather(self._sent)
        return Upload(texts, None if self._file is None else self._path, spelled)

    def _begin(self) -> None:
        self._count += 1
        if self._count > MAX_FIELDS:
            raise InvalidRequest(
                f"the form has more than {MAX_FIELDS:,} fields; send a long list as JSON in one"
            )
        self._headers, self._value = {}, bytearray()

    def _on_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._header.lower()] = self._header_value
        self._header, self._header_value = b"", b""

    def _open(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"").decode("latin-1")
        _, options = parse_options_header(disposition)
        self._name = _text(options.get(b"name", b""), "the name of a field")
        plain = self._name.removesuffix("[]")
        self._is_file = plain == FILE
        if self._is_file:
            self._open_file()
        elif b"filename" in options:
            raise InvalidRequest(f"{plain[:40]}: is no file; the recording's field is file")
        elif not plain:
            raise InvalidRequest("a field of the form has no name")

    def _open_file(self) -> None:
        if self._file is not None:
            raise InvalidRequest("file: was sent twice; send one recording")
        self._file = self._path.open("xb")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file and self._file is not None:
            self._file_bytes += end - start
            self._limit.check_file(self._file_bytes)
            self._file.write(memoryview(data)[start:end])
            return
        self._field_bytes += end - start
        if self._field_bytes > MAX_FIELD_BYTES:
            raise InvalidRequest(f"the fields of the form have more than {MAX_FIELD_BYTES:,} bytes")
        self._value += data[start:end]

    def _end(self) -> None:
        if not self._is_file:
            text = _text(bytes(self._value), f"{self._name.removesuffix('[]')[:40]}: the text")
            self._sent.append((self._name, text))

    def _complete(self) -> None:
        self._is_complete = True


def _text(value: bytes, what: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"{what} is not UTF-8") from None
