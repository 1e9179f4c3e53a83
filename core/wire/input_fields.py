"""The fields of requests: their types, and the objects among them."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from core.wire import spellings
from core.wire.limits import MAX_FIELDS, MAX_KEYTERMS, MAX_REPLACEMENTS, MAX_SPEAKERS, MAX_TURNS

Fields = dict[Any, Any]
Text = Annotated[str, BeforeValidator(spellings.whole_text)]
Name = Annotated[str, Field(max_length=100), BeforeValidator(spellings.whole_text)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(spellings.number)]
Count = Annotated[int, Field(ge=1, le=MAX_SPEAKERS), BeforeValidator(spellings.whole_number)]
Boolean = Annotated[bool, BeforeValidator(spellings.boolean)]
CHOICE = BeforeValidator(spellings.choice)


class Strict(BaseModel):
    """An object of a request: no unknown field, and no value of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: object) -> object:
        """Look at the names first: every unknown one would become an error of its own."""
        if not isinstance(value, dict):
            return value
        if len(value) > MAX_FIELDS:
            known = len(cls.model_fields)
            raise ValueError(f"input has {len(value)} fields; at most {known} are known")
        if not all(spellings.is_whole(str(name)) for name in value):
            raise ValueError(
                "the name of a field holds half a character (a lone surrogate); send it as UTF-8"
            )
        return cls.as_meant(value)

    @classmethod
    def as_meant(cls, given: Fields) -> Fields:
        """Return the fields as their caller means them."""
        return given


class TurnField(Strict):
    """One element of `diarization_segments`, in the diarization worker's form."""

    start: Seconds
    end: Seconds
    speaker: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
        BeforeValidator(spellings.name),
    ]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end < self.start:
            raise ValueError("end is before start")
        return self


def _not_too_many(turns: object) -> object:
    if isinstance(turns, list | tuple) and len(turns) > MAX_TURNS:
        raise ValueError(
            f"list has {len(turns)} turns and at most {MAX_TURNS} are taken; join turns of one "
            "speaker that meet, or send ranges with start and end"
        )
    return turns


def _few_speakers(turns: tuple[TurnField, ...]) -> tuple[TurnField, ...]:
    if (count := len({turn.speaker for turn in turns})) > MAX_SPEAKERS:
        raise ValueError(f"list names {count} speakers and at most {MAX_SPEAKERS} are taken")
    return turns


TurnFields = Annotated[
    tuple[TurnField, ...],
    Field(strict=False, fail_fast=True),
    BeforeValidator(_not_too_many),
    AfterValidator(_few_speakers),
]


_NO_LIST = 'input should be a list of texts, such as ["Ringstrasse", "Dr. Osei"]'


def _few_terms(terms: object) -> object:
    if isinstance(terms, str):
        raise ValueError(_NO_LIST)  # noqa: TRY004  pydantic makes a sentence of a ValueError alone
    if isinstance(terms, list | tuple) and len(terms) > MAX_KEYTERMS:
        raise ValueError(f"list has {len(terms)} terms and at most {MAX_KEYTERMS} are taken")
    return terms


KeyTerms = Annotated[
    tuple[
        Annotated[
            str,
            StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
            BeforeValidator(spellings.whole_text),
        ],
        ...,
    ],
    Field(strict=False, fail_fast=True),
    BeforeValidator(_few_terms),
]


_MOST_WORDS = 10
_MOST_CHARACTERS = 200
"""Words and characters of one phrase to replace."""


def _few_replacements(texts: object) -> object:
    if isinstance(texts, dict) and len(texts) > MAX_REPLACEMENTS:
        raise ValueError(
            f"object has {len(texts)} phrases and at most {MAX_REPLACEMENTS} are taken"
        )
    return texts


def _by_phrase(texts: dict[str, str]) -> dict[str, str]:
    """Refuse phrases that are empty, too long, or the same but for their case."""
    seen: set[str] = set()
    for phrase in texts:
        words = phrase.casefold().split()
        if not words:
            raise ValueError("a phrase is empty")
        if len(phrase) > _MOST_CHARACTERS or len(words) > _MOST_WORDS:
            raise ValueError(
                f"a phrase has {len(phrase)} characters and {len(words)} words; at most "
                f"{_MOST_CHARACTERS} and {_MOST_WORDS} are taken"
            )
        if " ".join(words) in seen:
            raise ValueError("two phrases are the same but for their case")
        seen.add(" ".join(words))
    return texts


_Written = Annotated[
    str, StringConstraints(strip_whitespace=True), BeforeValidator(spellings.whole_text)
]
Replacements = Annotated[
    dict[_Written, Annotated[_Written, Field(max_length=_MOST_CHARACTERS)]],
    BeforeValidator(_few_replacements),
    AfterValidator(_by_phrase),
]


class Part(Strict):
    """The i-th of n equal parts of a recording."""

    index: int = Field(ge=0)
    of: int = Field(ge=1, le=1000)

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        if self.index >= self.of:
            raise ValueError("index counts from 0 and must be smaller than of")
        return self
