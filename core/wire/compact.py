"""The form in which a transcription worker of ours answers an orchestrator of ours.

Each word once, as `[start, end, text, confidence]`; characters, if asked for, as
`[start, end, text]`. Times are seconds with three decimals, which is all that anything is derived
from (`core.transcript.assembly`), so nothing is lost.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from core.domain.rounding import confidence, seconds
from core.domain.timeline import Character, Transcript, Transcription, Word
from core.wire.fields import Answer
from core.wire.form import WorkerFormat

_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Share = Annotated[float, Field(allow_inf_nan=False)]


def is_compact(output: object) -> bool:
    """Tell whether an answer is in this form."""
    return isinstance(output, dict) and output.get("format") == WorkerFormat.COMPACT


def write(transcript: Transcript, *, characters: bool) -> Answer:
    """Return a transcript without speakers as plain JSON."""
    answer: Answer = {
        "success": True,
        "format": WorkerFormat.COMPACT,
        "language": transcript.language,
        "duration": seconds(transcript.duration),
        "warnings": list(transcript.warnings),
        "words": [
            [seconds(word.start), seconds(word.end), word.text, confidence(word.confidence)]
            for word in transcript.words
        ],
    }
    if characters:
        answer["characters"] = [
            [seconds(one.start), seconds(one.end), one.text] for one in transcript.characters
        ]
    return answer


class Compact(BaseModel):
    """What `write` returns, read back."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    language: str | None
    duration: _Seconds
    warnings: tuple[str, ...] = ()
    words: tuple[tuple[_Seconds, _Seconds, str, _Share | None], ...]
    characters: tuple[tuple[_Seconds, _Seconds, str], ...] = ()

    @property
    def transcription(self) -> Transcription:
        """The words, as the model said them."""
        return Transcription(
            words=tuple(Word(*one) for one in self.words),
            characters=tuple(Character(*one) for one in self.characters),
            language=self.language,
            warnings=self.warnings,
        )
