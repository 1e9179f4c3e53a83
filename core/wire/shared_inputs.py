"""What the inputs of several roles have in common: a recording, words, speakers, a part."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import AliasChoices, Field, PrivateAttr, ValidationInfo, model_validator

from core.domain.request import (
    Channels,
    Decoding,
    Destination,
    Edits,
    KnownSpeaker,
    LocalFile,
    Range,
    Recording,
    Source,
    SpeakerCount,
    Task,
)
from core.domain.request import Part as RequestedPart
from core.wire import spellings
from core.wire.form import Form, TranscriptFormat
from core.wire.input_fields import (
    CHOICE,
    Boolean,
    Count,
    Fields,
    KeyTerms,
    Name,
    Part,
    Replacements,
    Seconds,
    Strict,
    Text,
)
from core.wire.known_speakers import KnownSpeakers

_SOURCES = ("audio", "audio_url", "audio_base64")
_UNDECIDED = {
    "language": ("auto", "und", "none", "null"),
    "num_speakers": ("auto",),
    "min_speakers": ("auto",),
    "max_speakers": ("auto",),
}
"""Words that say no more than a field that is left out."""
_ALIASES = ("timestamp",)


def _is_url(text: str) -> bool:
    return "://" in text or text.lstrip().startswith("data:")


class AudioInput(Strict):
    """The input of every role: a recording and, if wanted, a range of it."""

    audio: Text | None = Field(default=None, repr=False)
    audio_url: Text | None = Field(default=None, repr=False)
    audio_base64: Text | None = Field(default=None, repr=False)
    audio_format: Text | None = None
    """Ignored: the content decides."""
    start: Seconds | None = None
    end: Seconds | None = None
    output_url: Text | None = Field(default=None, repr=False)
    """The place for the answer, if it is not to travel in the job's output."""
    _uploaded: LocalFile | None = PrivateAttr(default=None)
    """The recording, if the front has it as a file. No field of an input becomes one."""

    @classmethod
    def as_meant(cls, given: Fields) -> Fields:
        """Leave out the known fields that say nothing."""
        return {name: value for name, value in given.items() if not cls._is_absent(name, value)}

    @classmethod
    def _is_absent(cls, name: Any, value: object) -> bool:
        if name in _SOURCES:
            return value is None  # an empty recording is a mistake, unless there is another
        if name not in cls.model_fields and name not in _ALIASES:
            return False
        is_undecided = spellings.word(value) in _UNDECIDED.get(name, ())
        return is_undecided or spellings.is_blank(value)

    @property
    def _sources(self) -> dict[str, str]:
        return {name: value for name in _SOURCES if (value := getattr(self, name)) is not None}

    @model_validator(mode="after")
    def _one_source(self, info: ValidationInfo) -> Self:
        filled = [name for name, value in self._sources.items() if not spellings.is_blank(value)]
        empty = [name for name in self._sources if name not in filled]
        if isinstance(info.context, LocalFile):
            if filled:
                raise ValueError(f"a file and {' and '.join(filled)} were given; give one of them")
            self._uploaded = info.context
            return self
        if empty and not filled:
            verb = "is" if len(empty) == 1 else "are"
            raise ValueError(f"{' and '.join(empty)} {verb} empty; give a URL or base64 text")
        if len(filled) != 1:
            what = f"{' and '.join(filled)} were given" if filled else "none was given"
            raise ValueError(f"give exactly one of audio, audio_url, audio_base64; {what}")
        return self

    @model_validator(mode="after")
    def _said_plainly(self) -> Self:
        if self.audio_url and self.audio_url.strip() and not _is_url(self.audio_url):
            raise ValueError(
                "audio_url is not a URL; give http(s):// or s3://, or use audio_base64"
            )
        if self.audio_base64 is not None and "://" in self.audio_base64[:20]:
            raise ValueError("audio_base64 is a URL; use audio_url")
        return self

    @model_validator(mode="after")
    def _range_in_order(self) -> Self:
        if self.end is not None and self.end <= (self.start or 0):
            raise ValueError("end must be after start")
        return self

    @property
    def destination(self) -> Destination | None:
        """The place for the answer; None for the job's output."""
        return None if self.output_url is None else Destination(self.output_url.strip())

    @property
    def recording(self) -> Recording:
        """The recording, from the one source that was given, and the range of it."""
        given = "".join(value.strip() for value in self._sources.values())
        source = self._uploaded or Source(given)
        return Recording(source, Range(self.start or 0.0, self.end))


class WordsInput(AudioInput):
    """The input of a role that writes words."""

    language: Name | None = None
    task: Annotated[Task, CHOICE] = Field(default=Task.TRANSCRIBE, strict=False)
    keyterms: KeyTerms = ()
    response_format: Annotated[TranscriptFormat, CHOICE] = Field(
        default=TranscriptFormat.JSON, strict=False
    )
    timestamps: Boolean = Field(
        default=False, validation_alias=AliasChoices("timestamps", "timestamp")
    )
    channels: Annotated[Channels, CHOICE] = Field(default=Channels.MIX, strict=False)
    replace: Replacements = Field(default={})
    remove_fillers: Boolean = False

    @classmethod
    def as_meant(cls, given: Fields) -> Fields:
        """Read two spellings of one field as one, if they agree."""
        given = super().as_meant(given)
        if not given.keys() >= {"timestamps", "timestamp"}:
            return given
        if spellings.boolean(given["timestamps"]) is not spellings.boolean(given["timestamp"]):
            raise ValueError(
                "timestamps and timestamp are one field and were given different values; leave "
                "one out"
            )
        return {name: value for name, value in given.items() if name != "timestamp"}

    @property
    def is_split(self) -> bool:
        """The channels name the speakers."""
        return self.channels is Channels.SPLIT

    @property
    def decoding(self) -> Decoding:
        """How to turn speech into text."""
        return Decoding(self.language, self.task, self.keyterms)

    @property
    def edits(self) -> Edits:
        """What to change in the words."""
        return Edits(self.replace, self.remove_fillers)

    @property
    def form(self) -> Form:
        """How to write the answer."""
        return Form(self.response_format, timestamps=self.timestamps, task=self.task)


class SpeakersInput(AudioInput):
    """The input of a role that tells speakers apart."""

    num_speakers: Count | None = None
    min_speakers: Count | None = None
    max_speakers: Count | None = None
    known_speakers: KnownSpeakers = Field(default=(), repr=False)
    return_embeddings: Boolean = False

    @model_validator(mode="after")
    def _counts_agree(self) -> Self:
        least, most = self.min_speakers, self.max_speakers
        if self.num_speakers is not None and (least is not None or most is not None):
            raise ValueError("give num_speakers, or min_speakers and max_speakers, not both")
        if least is not None and most is not None and least > most:
            raise ValueError("min_speakers is larger than max_speakers")
        return self

    @property
    def speakers(self) -> SpeakerCount:
        """The number of speakers, as far as the caller knows it."""
        return SpeakerCount(self.num_speakers, self.min_speakers, self.max_speakers)

    @property
    def known(self) -> tuple[KnownSpeaker, ...]:
        """The known speakers."""
        return tuple(field.speaker for field in self.known_speakers)


class PartInput(AudioInput):
    """The input of a role that can be asked about one of several parts of a recording."""

    part: Part | None = None

    @model_validator(mode="after")
    def _part_or_range(self) -> Self:
        if self.part is not None and (self.start is not None or self.end is not None):
            raise ValueError("give part, or start and end, not both")
        return self

    @property
    def requested_part(self) -> RequestedPart | None:
        """The part that is asked for; None for the whole."""
        return None if self.part is None else RequestedPart(self.part.index, self.part.of)
