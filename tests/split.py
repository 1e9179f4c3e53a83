"""What the split workers answer, from models that are told what they hear: stretches of the golden
dialogue, in the shape that `core.wire.render` gives them.
"""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from bench.untimed import untimed
from core.domain.request import Part
from core.domain.rounding import seconds
from core.domain.timeline import Character, Diarization, Span, Transcription, Turn, Word
from core.domain.usage import Usage
from core.transcript.assembly import assemble
from core.wire.fields import Answer
from core.wire.form import DiarizationFormat, Form, TranscriptFormat
from core.wire.job_input import TranscriptionInput
from core.wire.render import render

_REFERENCE = Path(__file__).parent / "golden" / "dialogue.json"
_LEAST_WORDS = 8
MODEL = "example/speech"


@dataclass(frozen=True, slots=True)
class Recording:
    """What is said in a recording, and by whom."""

    transcription: Transcription
    diarization: Diarization
    duration_s: float

    def words(self, request: TranscriptionInput) -> Answer:
        """The transcription worker's answer: of the whole, or of the part that is asked for."""
        heard = self.transcription if request.part is None else self._share(request.part)
        transcript = assemble(heard, None, duration_s=self.duration_s)
        return render(replace(transcript, usage=self._usage(MODEL)), request.form)

    def turns(self) -> Answer:
        """The diarization worker's answer."""
        answered = replace(
            self.diarization, duration=self.duration_s, usage=self._usage("example/speakers")
        )
        return render(answered, Form(DiarizationFormat.JSON))

    def whole(
        self,
        response_format: TranscriptFormat,
        *,
        timestamps: bool,
        warnings: tuple[str, ...] = (),
        model: str | None = MODEL,
    ) -> Answer:
        """The single worker's answer, without the seconds that the work took."""
        transcript = assemble(
            self.transcription, self.diarization, duration_s=self.duration_s, warnings=warnings
        )
        transcript = replace(transcript, usage=self._usage(model))
        return untimed(render(transcript, Form(response_format, timestamps=timestamps)))

    def words_alone(
        self, response_format: TranscriptFormat, *, timestamps: bool, warnings: tuple[str, ...] = ()
    ) -> Answer:
        """The single worker's answer with `diarize: false`, without the seconds of the work."""
        transcript = assemble(
            self.transcription, None, duration_s=self.duration_s, warnings=warnings
        )
        transcript = replace(transcript, usage=self._usage(MODEL))
        return untimed(render(transcript, Form(response_format, timestamps=timestamps)))

    def _usage(self, model: str | None) -> Usage:
        return Usage(seconds(self.duration_s), model)

    def _share(self, part: Part) -> Transcription:
        step = self.duration_s / part.of
        words = tuple(
            word for word in self.transcription.words if int(word.midpoint // step) == part.index
        )
        return replace(self.transcription, words=words, characters=_characters(words))


@functools.cache
def recording(number: int) -> Recording:
    """One of any number of recordings, each another stretch of the dialogue with other
    confidences.
    """
    chance = random.Random(number)
    words, turns = _dialogue()
    first = chance.randrange(len(words) - _LEAST_WORDS)
    stretch = Span(
        words[first].start, words[chance.randrange(first + _LEAST_WORDS, len(words))].end
    )
    said = tuple(
        replace(_moved(word, stretch), confidence=chance.random())
        for word in words
        if word.overlap(stretch)
    )
    spoken = tuple(_moved(turn, stretch) for turn in turns if turn.overlap(stretch))
    return Recording(
        Transcription(
            said, _characters(said), "en", ("no words were found between 1.0 s and 2.0 s",)
        ),
        Diarization(spoken, _exclusive(spoken)),
        stretch.duration + 0.5,
    )


@functools.cache
def _dialogue() -> tuple[tuple[Word, ...], tuple[Turn, ...]]:
    reference = json.loads(_REFERENCE.read_text())
    words = tuple(Word(word["start"], word["end"], word["text"]) for word in reference["words"])
    return words, tuple(
        Turn(turn["start"], turn["end"], turn["speaker"]) for turn in reference["turns"]
    )


def _moved(one, stretch: Span):
    return replace(
        one,
        start=max(0.0, one.start - stretch.start),
        end=min(stretch.duration, one.end - stretch.start),
    )


def _characters(words: Sequence[Word]) -> tuple[Character, ...]:
    characters = []
    for word in words:
        step = word.duration / len(word.text)
        characters += [
            Character(word.start + step * i, word.start + step * (i + 1), char)
            for i, char in enumerate(word.text)
        ]
    return tuple(characters)


def _exclusive(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The turns cut off where the next one begins."""
    cut = [replace(turn, end=min(turn.end, after.start)) for turn, after in pairwise(turns)]
    return tuple(turn for turn in (*cut, *turns[-1:]) if turn.duration > 0)
