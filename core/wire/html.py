"""The transcript as a page: one HTML file that fetches nothing, to read, to listen to and to edit.

The page is made of the files in `core/wire/page`, and of the transcript as JSON in an element that
is no script. Its Content-Security-Policy allows that one script, by its sum, and no request but for
a recording that the reader opens.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from pathlib import Path

from core import __version__
from core.domain.rounding import confidence
from core.domain.timeline import Transcript, Word
from core.wire.fields import Answer, one_line

_FOLDER = Path(__file__).with_name("page")
_SCRIPTS = ("model", "subtitles", "view", "timeline", "people", "player", "search", "files", "main")
"""One script, in this order."""
_NOBODY = -1
_UNSAFE = re.compile("[<>&\u2028\u2029\ud800-\udfff]")
"""What could end the element, be half a character, or end a line of a script in old browsers."""


def page(transcript: Transcript, *, title: str = "", recording: str = "") -> Answer:
    """Return the page, as one string.

    `recording` is the way from the page to the recording, as a relative URL, for a page that lies
    beside it: it is fetched when the reader wants to hear it. No caller elsewhere can give one.
    """
    head, tail = _template()
    told: Answer = {"title": one_line(title), "recording": recording}
    return {"html": f"{head}{_json(told | _data(transcript))}{tail}"}


def sums() -> tuple[str, str]:
    """Return the sums of a page's script and style, for the policy of a page that shows it."""
    return sum_of(_script()), sum_of(_read("page.css"))


def sum_of(text: str) -> str:
    """Return the sum by which a Content-Security-Policy names a script or a style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@functools.cache
def _template() -> tuple[str, str]:
    """Return what precedes the transcript and what follows it."""
    style = _read("page.css")
    script = _script()
    head, tail = _read("page.html").removesuffix("\n").split("%data%")
    head = head.replace("%policy%", _policy(script, style)).replace("%style%", style)
    return head, tail.replace("%script%", script)


def _script() -> str:
    return "".join(_read(f"{name}.js") for name in _SCRIPTS)


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _policy(script: str, style: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{sum_of(script)}'",
            f"style-src '{sum_of(style)}'",
            "img-src data:",  # the empty icon, so that no browser asks a server for one
            "media-src blob: https: http: file:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _json(data: Answer) -> str:
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _data(transcript: Transcript) -> Answer:
    """Return all that the page shows. Times are milliseconds, confidences thousandths."""
    named = [one.speaker for one in transcript.turns]
    named += [one.speaker for one in transcript.segments if one.speaker]
    index = {name: at for at, name in enumerate(dict.fromkeys(named))}
    names = list(map(one_line, index))
    return {
        "version": __version__,
        "start": _ms(transcript.start),
        "duration": _ms(transcript.duration),
        "language": transcript.language,
        "language_confidence": _thousandths(transcript.language_confidence),
        "coverage": _thousandths(transcript.coverage),
        "diarized": transcript.diarized,
        "split": transcript.is_split,
        "warnings": list(transcript.told),
        "speakers": names,
        "names": names,
        "into": list(range(len(names))),
        "turns": [
            [index.get(turn.speaker, _NOBODY), _ms(turn.start), _ms(turn.end)]
            for turn in transcript.turns
        ],
        "segments": [
            [len(one.words), index.get(one.speaker or "", _NOBODY)] for one in transcript.segments
        ],
        "words": _words([word for one in transcript.segments for word in one.words]),
    }


def _words(words: list[Word]) -> Answer:
    """Return the words in columns; each begins `gap` after the end of the one before."""
    ends = [0, *(_ms(word.end) for word in words)]
    return {
        "text": [one_line(word.text) for word in words],
        "gap": [_ms(word.start) - before for word, before in zip(words, ends, strict=False)],
        "length": [_ms(word.end) - _ms(word.start) for word in words],
        "confidence": [_thousandths(word.confidence) for word in words],
        "overlap": [at for at, word in enumerate(words) if word.overlapped],
        "nearest": [at for at, word in enumerate(words) if word.nearest],
    }


def _ms(time_s: float) -> int:
    return round(1000 * time_s)


def _thousandths(value: float | None) -> int | None:
    rounded = confidence(value)
    return None if rounded is None else round(1000 * rounded)
