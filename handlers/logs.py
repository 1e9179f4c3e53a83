"""The log of a worker or server: lines for people, or a JSON object a line; secrets in neither."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from core import __version__
from core.domain.usage import Usage
from core.settings import LogFormat
from core.wire import usage as usage_on_the_wire
from handlers.redaction import Redacting, redacted

_FOR_PEOPLE = "%(levelname)-7s| %(name)s | %(message)s"
_USUAL = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
"""What every record has; all else was given as `extra`."""


def configure(log_format: LogFormat) -> None:
    """Log to stderr at INFO. With `json`, whatever else is printed becomes a line of the log."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if log_format == "json" else Redacting(_FOR_PEOPLE))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    if log_format == "json":
        logging.captureWarnings(capture=True)
        sys.stdout = _Printed(sys.stdout, logging.getLogger("stdout"), logging.INFO)
        sys.stderr = _Printed(sys.stderr, logging.getLogger("stderr"), logging.WARNING)


class JsonLines(logging.Formatter):
    """Writes a record as one JSON object: `time`, `level`, `logger`, `message`, and what was given
    as `extra`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": super().format(record),
        }
        told |= {name: value for name, value in vars(record).items() if name not in _USUAL}
        return json.dumps(_redacted(told), default=str)


def _redacted(value: Any) -> Any:
    """Redact every text in a value."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {name: _redacted(one) for name, one in value.items()}
    return [_redacted(one) for one in value] if isinstance(value, list | tuple) else value


class _Printed(io.TextIOBase):
    """A standard stream whose lines go to the log, but for those that are JSON objects already."""

    def __init__(self, stream: TextIO, log: logging.Logger, level: int) -> None:
        self._stream, self._log, self._level = stream, log, level
        self._rest = ""

    def write(self, text: str) -> int:
        """Take a text; log the lines that it ends."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if _is_object(line):
                self._stream.write(f"{line}\n")
            elif line.strip():
                self._log.log(self._level, "%s", line.rstrip())
        return len(text)

    def flush(self) -> None:
        """Flush the stream; half a line waits for its end."""
        self._stream.flush()

    def fileno(self) -> int:
        """Return the stream's descriptor, for what writes to it directly."""
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The stream's."""
        return self._stream.encoding


def _is_object(line: str) -> bool:
    try:
        return line.startswith("{") and isinstance(json.loads(line), dict)
    except ValueError:
        return False


def done(log: logging.Logger, job: object, usage: Usage | None) -> None:
    """Log what a job took, in one line."""
    if usage is None:
        log.info("%s | done", job, extra={"job": job})
        return
    spent = ", ".join(f"{work} {spent_s:.3f} s" for work, spent_s in usage.spent_s.items())
    log.info(
        "%s | done: %.3f s of audio; %s; model %s, version %s",
        job,
        usage.audio_s,
        spent,
        usage.model,
        __version__,
        extra={"job": job, "usage": usage_on_the_wire.own(usage)},
    )
