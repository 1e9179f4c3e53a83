"""Scoring turns against a reference: diarization error rate with nothing forgiven, and the count of
speakers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate


class Turn(Protocol):
    """Anything with a start and an end in seconds and a speaker."""

    @property
    def start(self) -> float:
        """Seconds."""

    @property
    def end(self) -> float:
        """Seconds."""

    @property
    def speaker(self) -> str:
        """Name of the speaker."""


@dataclass(frozen=True, slots=True)
class DiarizationScore:
    """Seconds of each kind of error, of speech in the reference, and the speakers found and true
    (sums add up).
    """

    missed_s: float
    false_alarm_s: float
    confusion_s: float
    speech_s: float
    right_counts: int
    dialogues: int

    @property
    def error_rate(self) -> float:
        """Diarization error rate (NIST): all errors over the speech of all speakers."""
        return (self.missed_s + self.false_alarm_s + self.confusion_s) / self.speech_s

    def shares(self) -> tuple[float, float, float]:
        """Missed, false alarm and confusion over the speech."""
        return (
            self.missed_s / self.speech_s,
            self.false_alarm_s / self.speech_s,
            self.confusion_s / self.speech_s,
        )


def annotation(turns: Iterable[Turn]) -> Annotation:
    """Turns as pyannote's annotation."""
    result = Annotation()
    for number, turn in enumerate(turns):
        result[Segment(turn.start, turn.end), number] = turn.speaker
    return result


def score(reference: Annotation, found: Annotation, duration_s: float) -> DiarizationScore:
    """Score one recording: collar 0, overlapped speech scored, from 0 to `duration_s`."""
    metric = DiarizationErrorRate(collar=0.0, skip_overlap=False)
    parts = metric.compute_components(reference, found, uem=Timeline([Segment(0, duration_s)]))
    right = len(reference.labels()) == len(found.labels())
    errors = (parts["missed detection"], parts["false alarm"], parts["confusion"])
    return DiarizationScore(*errors, parts["total"], int(right), 1)


def total(scores: Sequence[DiarizationScore]) -> DiarizationScore:
    """The sum over recordings."""
    columns = zip(
        *(
            (s.missed_s, s.false_alarm_s, s.confusion_s, s.speech_s, s.right_counts, s.dialogues)
            for s in scores
        ),
        strict=True,
    )
    return DiarizationScore(*(sum(column) for column in columns))
