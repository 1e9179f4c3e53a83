"""Speech that the level of the sound does not show, beside louder speech, but a speaker model does.

It is asked for once more, as one range of the recording: by itself it is loud enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from core.domain.request import Range
from core.domain.rounding import seconds
from core.domain.timeline import Diarization, Span, Transcription, Word
from core.transcript.assembly import shown, shown_diarization
from core.transcript.coverage import clipped, gaps, united, without
from core.transcript.filling import Gap
from core.transcript.spelled import of_words
from core.transcript.word_spans import spoken_end

MOST_SHARE = 0.2
"""How much of a recording is asked for once more at most."""
MOST_OF_SHORT_S = 30.0
"""So many seconds may be, however short the recording is."""
_AROUND_S = 1.0


@dataclass(frozen=True, slots=True)
class Quiet:
    """Gaps inside of turns, near enough to each other for one range."""

    gaps: tuple[Span, ...]
    heard: Span
    """The stretch of the recording that was heard."""
    transcription: Transcription
    """What has been found; as answers show it, so that it does not matter where this is done."""

    @classmethod
    def of(
        cls, transcription: Transcription, diarization: Diarization | None, heard: Span
    ) -> Quiet | None:
        """Find the gaps that are worth asking for; None if there are none.

        The turns may be of more than what was heard.
        """
        if diarization is None or transcription.is_split:
            return None
        heard = Span(seconds(heard.start), seconds(heard.end))
        found = shown(transcription)
        turns = united(clipped(shown_diarization(diarization).turns, heard))
        most_s = max(MOST_OF_SHORT_S, MOST_SHARE * heard.duration)
        chosen = _together(_unseen(found, turns), most_s)
        return cls(chosen, heard, found) if chosen else None

    @property
    def range(self) -> Range:
        """The range to ask for, within what was heard."""
        start, end = self.gaps[0].start - _AROUND_S, self.gaps[-1].end + _AROUND_S
        heard = self.heard
        return Range(max(heard.start, seconds(start)), min(seconds(end), heard.end))

    def filled(self, answer: Transcription) -> Transcription:
        """Return what has been found with those words of the answer that lie in gaps."""
        answer = shown(answer)
        words, places = self.transcription.words, []
        more: list[Word] = []
        for span in self.gaps:
            gap = Gap.between(words, span)
            if own := answer.words[gap.own(answer.words)]:
                words = words[: gap.at] + own + words[gap.at :]
                more += own
                places.append(Span(own[0].start, spoken_end(own[-1])))
        spelled = (*self.transcription.characters, *of_words(answer.characters, more))
        again = (*self.transcription.found_again, *places)
        return replace(
            self.transcription,
            words=words,
            characters=tuple(sorted(spelled, key=lambda one: one.start)),
            found_again=tuple(sorted(again, key=lambda one: one.start)),
        )


def _unseen(found: Transcription, turns: Sequence[Span]) -> list[Span]:
    """Return the gaps inside of turns of which less than half is speech by its level.

    The others have been looked at twice.
    """
    speech = united(found.speech)
    unseen = gaps(list(without(turns, speech)), found.words)
    return [
        gap
        for gap in unseen
        if sum(piece.duration for piece in without([gap], speech)) > gap.duration / 2
    ]


def _together(unseen: Sequence[Span], most_s: float) -> tuple[Span, ...]:
    """Return the gaps of the range that holds most of them; of two equal ones, of the first."""
    seconds = [0.0, *accumulate(gap.duration for gap in unseen)]
    best, first = range(0), 0
    for last, gap in enumerate(unseen):
        while gap.end - unseen[first].start + 2 * _AROUND_S > most_s and first < last:
            first += 1
        if seconds[last + 1] - seconds[first] > seconds[best.stop] - seconds[best.start]:
            best = range(first, last + 1)
    return tuple(unseen[best.start : best.stop])
