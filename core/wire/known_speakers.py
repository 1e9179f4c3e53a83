"""The field `known_speakers`: names, each with a recording of the voice or with its vector."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from core.domain.request import KnownSpeaker, Source
from core.domain.timeline import Voice
from core.wire import spellings
from core.wire.fields import one_line
from core.wire.input_fields import Name, Seconds, Strict, Text
from core.wire.limits import MAX_KNOWN_SPEAKERS, MAX_VECTOR

_OURS = re.compile(r"((speaker|channel)[ _]*)?\d+|unknown|nobody", re.IGNORECASE)
"""What answers call those whose names nobody knows."""
_LONGEST_NAME = 100


def known_name(value: str) -> str:
    """Return a name in one line.

    Raise ValueError if nothing is left of it, if it is too long, or if answers call somebody so
    whose name nobody knows.
    """
    value = value.strip()
    if len(value) > _LONGEST_NAME:
        raise ValueError(f"the name has {len(value)} characters and may have {_LONGEST_NAME}")
    name = one_line(str(spellings.whole_text(value)))
    if not name:
        raise ValueError("the name is empty")
    if _OURS.fullmatch(name):
        raise ValueError(f"{name[:40]!r} means somebody whom nobody knows; give another name")
    return name


def _name(value: object) -> object:
    return known_name(value) if isinstance(value, str) else value


_Finite = Annotated[
    float, Field(ge=-1e6, le=1e6, allow_inf_nan=False), BeforeValidator(spellings.number)
]


def _not_too_long(vector: object) -> object:
    if isinstance(vector, list | tuple) and len(vector) > MAX_VECTOR:
        raise ValueError(f"list has {len(vector)} numbers and at most {MAX_VECTOR} are taken")
    return vector


def _not_zero(vector: tuple[float, ...]) -> tuple[float, ...]:
    if not any(vector):
        raise ValueError("the vector has no direction: all its numbers are 0")
    return vector


class EmbeddingField(Strict):
    """An element of an answer's `embeddings`, or the two fields of it that matter."""

    model: Name
    vector: Annotated[
        tuple[_Finite, ...],
        Field(strict=False, fail_fast=True),
        BeforeValidator(_not_too_long),
        AfterValidator(_not_zero),
    ] = Field(repr=False)
    speaker: Text | None = None
    """Ignored, as are the seconds: they say what the vector was made of."""
    seconds: Seconds | None = None

    @property
    def voice(self) -> Voice:
        """The voice in it."""
        return Voice(self.model, self.vector)


def _with_a_model(value: object) -> object:
    if value is not None and not isinstance(value, dict):
        raise ValueError("give an object with model and vector, as in an answer's embeddings")
    return value


class KnownSpeakerField(Strict):
    """One element of `known_speakers`."""

    name: Annotated[str, BeforeValidator(_name)]
    audio: Text | None = Field(default=None, repr=False)
    embedding: Annotated[EmbeddingField | None, BeforeValidator(_with_a_model)] = None

    @model_validator(mode="after")
    def _one_voice(self) -> Self:
        if self.audio is not None and not self.audio.strip():
            raise ValueError("audio is empty; give a URL or base64 text")
        if (self.audio is None) == (self.embedding is None):
            what = "neither was" if self.audio is None else "both were"
            raise ValueError(f"give audio or embedding for each name; {what} given")
        return self

    @property
    def speaker(self) -> KnownSpeaker:
        """The known speaker in it."""
        audio = None if self.audio is None else Source(self.audio.strip())
        embedding = None if self.embedding is None else self.embedding.voice
        return KnownSpeaker(self.name, audio, embedding)


def _few(known: object) -> object:
    if isinstance(known, list | tuple) and len(known) > MAX_KNOWN_SPEAKERS:
        raise ValueError(
            f"list has {len(known)} speakers and at most {MAX_KNOWN_SPEAKERS} are taken"
        )
    return known


def _different(known: tuple[KnownSpeakerField, ...]) -> tuple[KnownSpeakerField, ...]:
    check_names(one.name for one in known)
    return known


def check_names(names: Iterable[str]) -> None:
    """Raise ValueError if two names are the same but for case and blanks, as they are in rttm."""
    counted = Counter("_".join(name.split()).casefold() for name in names)
    if twice := [name for name, count in counted.items() if count > 1]:
        raise ValueError(f"the name {twice[0][:40]!r} is given twice; names must differ")


KnownSpeakers = Annotated[
    tuple[KnownSpeakerField, ...],
    Field(strict=False, fail_fast=True),
    BeforeValidator(_few),
    AfterValidator(_different),
]
