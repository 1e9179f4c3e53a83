"""What a job took, in answers: in our own shape, and in OpenAI's, whose `seconds` is a number."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core import __version__
from core.domain.rounding import seconds
from core.domain.usage import Usage, Work
from core.wire.fields import Answer

_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def own(usage: Usage) -> Answer:
    """Return it in our own shape."""
    return {
        "seconds_of_audio": seconds(usage.audio_s),
        "seconds": dict(usage.spent_s),
        "model": usage.model,
        "version": __version__,
    }


def openai(usage: Usage) -> Answer:
    """Return OpenAI's `UsageDuration`, whose `seconds` are those of the audio, with our fields."""
    told = own(usage)
    spent = told.pop("seconds")
    return {"type": "duration", "seconds": told["seconds_of_audio"], **told, "stages": spent}


class UsageField(BaseModel):
    """What one of our workers says that a job took."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    seconds_of_audio: _Seconds
    seconds: Annotated[dict[str, _Seconds], Field(max_length=100)]
    model: Annotated[str, Field(max_length=300)] | None = None

    @property
    def usage(self) -> Usage:
        """It as a value, without kinds of work that this version does not know."""
        spent_s = {str(work): self.seconds[work] for work in Work if work in self.seconds}
        return Usage(self.seconds_of_audio, self.model, spent_s)


def from_openai(told: object) -> Usage | None:
    """Return what `openai` wrote as a value; None if somebody else wrote it."""
    try:
        return UsageField.model_validate(_renamed(told)).usage
    except ValidationError:
        return None


def _renamed(told: object) -> object:
    return told | {"seconds": told.get("stages")} if isinstance(told, dict) else told
