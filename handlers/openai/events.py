"""A transcript as it becomes known: OpenAI's events, each a line of a stream."""

from __future__ import annotations

from collections.abc import Iterator

from core.domain.rounding import seconds
from core.domain.timeline import Segment, Transcript, Word
from core.domain.writing import joined, spaced
from core.transcript.assembly import shown_word
from core.transcript.segments import finished_segments, split_segments
from core.wire import html
from core.wire.fields import Answer
from core.wire.form import TranscriptFormat
from core.wire.openai import UNKNOWN_SPEAKER
from handlers.openai.answering import as_json
from handlers.openai.asking import Question

_TIMED = (TranscriptFormat.VERBOSE_JSON, TranscriptFormat.DIARIZED_JSON)
"""The formats whose streams have segments."""


class Events:
    """The events of one stream, in order.

    Words are told once they are certain. Segments are told with them if no speakers are asked for,
    and with their speakers at the end if they are: speakers are known when all has been heard.
    """

    def __init__(self, question: Question) -> None:
        self._has_segments = question.form.response_format in _TIMED
        self._has_page = question.form.response_format is TranscriptFormat.HTML
        self._waits_for_speakers = any(
            getattr(question.request, name, None) is not None for name in ("speakers", "turns")
        )
        self._told = 0
        self._before = ""
        """The last text told."""
        self._segments = 0
        self._open: tuple[Word, ...] = ()

    def heard(self, words: tuple[Word, ...]) -> Iterator[bytes]:
        """Return the events of words that became certain."""
        if not words:
            return
        texts = [word.text for word in words]
        delta = "".join([*spaced([self._before, *texts])][1:]) if self._told else joined(texts)
        self._told += len(words)
        self._before = texts[-1]
        yield _line({"type": "transcript.text.delta", "delta": delta})
        if self._has_segments and not self._waits_for_speakers:
            shown = map(shown_word, words)
            finished, self._open = finished_segments((*self._open, *shown))
            yield from map(self._segment, finished)

    def done(self, transcript: Transcript) -> Iterator[bytes]:
        """Return the events of all that was not told yet, and the last one."""
        # As in the text: words of channels lie between one another, segments do not.
        words = tuple(word for segment in transcript.segments for word in segment.words)
        yield from self.heard(words[self._told :])
        if self._has_segments:
            late = transcript.segments if self._waits_for_speakers else split_segments(self._open)
            yield from map(self._segment, late)
        end: Answer = {"type": "transcript.text.done", "text": transcript.text}
        yield _line(end | (html.page(transcript) if self._has_page else {}))

    def _segment(self, segment: Segment) -> bytes:
        self._segments += 1
        return _line(
            {
                "type": "transcript.text.segment",
                "id": f"seg_{self._segments:03d}",
                "start": seconds(segment.start),
                "end": seconds(segment.end),
                "text": segment.text,
                "speaker": segment.speaker or UNKNOWN_SPEAKER,
            }
        )


def failed(error: Answer) -> bytes:
    """Return the event of an error, which ends a stream."""
    return _line({"type": "error"} | error)


def _line(event: Answer) -> bytes:
    return b"data: " + as_json(event) + b"\n\n"
