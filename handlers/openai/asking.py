"""From a form's fields to a request: OpenAI's fields, and all fields of our own beside them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.domain.request import LocalFile
from core.errors import InvalidRequest
from core.wire import spellings
from core.wire.form import Form, TranscriptFormat
from core.wire.job_input import parse
from handlers.openai.brackets import with_numbers
from handlers.openai.errors import NoSuchModel
from handlers.openai.multipart import FILE, Upload
from handlers.openai.roles import ALIASES, DIARIZING, Kind

_OPENAI = (
    ("model", "prompt", "temperature", "stream", "chunking_strategy"),
    (
        *("timestamp_granularities", "include", "languages", "keywords"),
        *("known_speaker_names", "known_speaker_references"),
    ),
)
"""Fields that only OpenAI's API has: with one value, and with any number."""
_WITH_SPEAKERS = (TranscriptFormat.DIARIZED_JSON, TranscriptFormat.HTML)
"""The formats that are about speakers."""
_SOURCES = ("audio", "audio_url", "audio_base64")
_NESTED = ("diarization_segments", "known_speakers", "part", "replace")
"""Fields that hold JSON, or that brackets spell."""
_NUMBERS = ("end", "index", "of", "seconds", "start", "vector")
"""The names in them under which there are numbers, which brackets spell as texts."""
_TEXTS = (TranscriptFormat.TEXT, TranscriptFormat.SRT, TranscriptFormat.VTT, TranscriptFormat.HTML)
"""The formats that come as a text, and not inside JSON."""
_MOST_HINTS = 100
_LONGEST_HINT = 200
"""The most terms that a prompt is taken for, and the most characters of one."""
_NO_HINTS = "prompt has no effect: the speech model takes no hints"
_GRANULARITIES = {"word": "words", "segment": "segments"}
"""OpenAI's words for the lists of `verbose_json`."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a caller asks for."""

    request: Any
    """The flow's request."""
    form: Form
    is_streamed: bool = False
    left_out: frozenset[str] = frozenset()
    """Lists of `verbose_json` that the caller does not want."""
    warnings: tuple[str, ...] = ()
    without_hints: Question | None = None
    """What to ask instead if the flow refuses this one, as a model that takes no hints does."""


def known_fields(kind: Kind) -> set[str]:
    """Return the names of all fields."""
    return {FILE, *_OPENAI[0], *_OPENAI[1], *kind.model_fields} - {"output_url"}


def read(upload: Upload, kind: Kind, models: Iterable[str], *, translate: bool = False) -> Question:
    """Read a form as a question to a flow of this kind.

    Raise InvalidRequest with a sentence that names the field, and NoSuchModel.
    """
    fields = _Fields(upload)
    model = _model(fields.one("model"), models)
    left_out = _left_out(fields.many("timestamp_granularities"))
    is_streamed = _boolean("stream", fields.one("stream"))
    warnings = (*_without_effect(fields),)
    hints = [*fields.many("keywords"), *_terms(fields.one("prompt"))][:_MOST_HINTS]
    named = _named(fields, kind)
    own = _own(fields, kind, named, is_diarizing=model == DIARIZING)
    if translate:
        own["task"] = _translation(kind)
    file = _uploaded(upload.file, own)
    asked = parse(kind, own, uploaded=file)
    if asked.form.response_format in _TEXTS and getattr(asked, "return_embeddings", False):
        raise InvalidRequest("return_embeddings: a text has no room for them; ask for json")
    plain = Question(asked.request, asked.form, is_streamed, left_out, warnings)
    if not hints or "keyterms" in own:
        return plain
    plain = replace(plain, warnings=(*warnings, _NO_HINTS))
    if "keyterms" not in kind.model_fields:
        return plain
    hinted = parse(kind, {**own, "keyterms": hints}, uploaded=file)
    return replace(plain, request=hinted.request, warnings=warnings, without_hints=plain)


class _Fields:
    """The fields of a form, taken one by one."""

    def __init__(self, upload: Upload) -> None:
        self._given, self._spelled = upload.fields, upload.spelled
        self._taken: set[str] = set()

    def one(self, name: str) -> str | None:
        """Return a field's text; None if it is not there or blank."""
        values = self.many(name)
        if len(values) > 1:
            raise InvalidRequest(f"{name[:40]}: was sent {len(values)} times; send it once")
        return values[0] if values else None

    def many(self, name: str) -> list[str]:
        """Return all texts of a field that are not blank."""
        if name in self._spelled:
            raise InvalidRequest(f"{name[:40]}: takes a text; leave out the brackets")
        self._taken.add(name)
        return [value.strip() for value in self._given.get(name, []) if value.strip()]

    def spelled(self, name: str) -> object:
        """Return what a field's brackets spell; None if it has none."""
        self._taken.add(name)
        return self._spelled.get(name)

    def rest(self) -> dict[str, Any]:
        """Return the fields that nobody took: texts, and what brackets spell."""
        names = [name for name in self._given if name not in self._taken]
        texts = {name: value for name in names if (value := self.one(name)) is not None}
        return texts | {n: value for n, value in self._spelled.items() if n not in self._taken}


def _model(name: str | None, models: Iterable[str]) -> str | None:
    known = (*models, *ALIASES)
    if name is not None and name not in known:
        raise NoSuchModel(
            f"model: {name[:80]!r} is not here; leave it out, or give one of {', '.join(known)}"
        )
    return name


def _left_out(granularities: list[str]) -> frozenset[str]:
    """Return the lists that are not asked for; without the field, all are."""
    asked = {part.strip() for value in granularities for part in value.split(",")}
    if unknown := asked - _GRANULARITIES.keys():
        raise InvalidRequest(
            f"timestamp_granularities: {min(unknown)[:40]!r} is neither word nor segment"
        )
    wanted = {_GRANULARITIES[name] for name in asked or _GRANULARITIES}
    left_out = frozenset(_GRANULARITIES.values()) - wanted
    return left_out | {"paragraphs"} if "segments" in left_out else left_out


def _boolean(name: str, value: str | None) -> bool:
    read_as = spellings.boolean(value)
    if isinstance(read_as, bool) or read_as is None:
        return bool(read_as)
    raise InvalidRequest(f"{name}: give true or false")


def _without_effect(fields: _Fields) -> Iterable[str]:
    """Take the fields that change nothing; tell those of which a caller may think otherwise."""
    temperature = fields.one("temperature")
    if temperature is not None and _number("temperature", temperature):
        yield "temperature has no effect: of all words the likeliest are taken"
    strategy = fields.spelled("chunking_strategy") or fields.one("chunking_strategy")
    if strategy not in (None, "auto"):
        _check_strategy(strategy)
        yield "chunking_strategy has no effect: recordings are cut where it is quiet"
    if fields.many("include"):
        yield "include has no effect: verbose_json has the confidence of each word"
    if fields.many("languages"):
        yield "languages has no effect: give one as language"


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 1:
        raise InvalidRequest(f"{name}: give a number from 0 to 1")
    return number


def _check_strategy(given: object) -> None:
    strategy = _nested("chunking_strategy", given)
    if not isinstance(strategy, dict) or strategy.get("type") != "server_vad":
        raise InvalidRequest("chunking_strategy: give auto or an object of the type server_vad")


def _named(fields: _Fields, kind: Kind) -> list[dict[str, str]]:
    """Return OpenAI's names of speakers and recordings of them as our known speakers."""
    names, references = (
        fields.many(name) for name in ("known_speaker_names", "known_speaker_references")
    )
    if (names or references) and "known_speakers" not in kind.model_fields:
        raise InvalidRequest("known_speaker_names: no speakers are found here; leave it out")
    if len(names) != len(references):
        raise InvalidRequest(
            f"known_speaker_references: there are {len(references)}, and {len(names)} "
            "known_speaker_names; send one for each name"
        )
    return [
        {"name": name, "audio": reference}
        for name, reference in zip(names, references, strict=True)
    ]


def _own(
    fields: _Fields, kind: Kind, named: list[dict[str, str]], *, is_diarizing: bool
) -> dict[str, Any]:
    """Return the fields of the flow's input."""
    keyterms = fields.many("keyterms")
    own: dict[str, Any] = fields.rest()
    if "output_url" in own:
        raise InvalidRequest("output_url: is for jobs; here the answer is the response's body")
    if keyterms:
        is_json = keyterms[0].startswith("[")
        own["keyterms"] = _json("keyterms", keyterms[0]) if is_json else keyterms
    for name in {*_NESTED} & {*own}:
        own[name] = _nested(name, own[name])
    if named and "known_speakers" in own:
        raise InvalidRequest("known_speaker_names: give these or known_speakers, not both")
    if named:
        own["known_speakers"] = named
    if "diarize" in kind.model_fields and "diarize" not in own:
        own["diarize"] = is_diarizing or _is_about_speakers(own)
    return own


def _is_about_speakers(own: dict[str, Any]) -> bool:
    wants_voices = spellings.boolean(own.get("return_embeddings")) is True
    shown = spellings.choice(own.get("response_format"))
    return bool(own.get("known_speakers")) or wants_voices or shown in _WITH_SPEAKERS


def _terms(prompt: str | None) -> Iterable[str]:
    """Yield the terms of a prompt: what is between its commas, full stops and line ends.

    What is too long for a term is left out: it is a sentence, and hints at nothing.
    """
    text = (prompt or "").translate(dict.fromkeys(map(ord, ".;\n"), ","))
    for part in text.split(","):
        if 0 < len(term := part.strip()) <= _LONGEST_HINT:
            yield term


def _translation(kind: Kind) -> str:
    if "task" not in kind.model_fields:
        raise InvalidRequest(
            "the speech model here cannot translate; ask /v1/audio/transcriptions for what was said"
        )
    return "translate"


def _nested(name: str, given: object) -> object:
    """Return a field's JSON, or what its brackets spell."""
    if isinstance(given, str):
        return _json(name, given)
    return given if name == "replace" else with_numbers(given, _NUMBERS)


def _json(name: str, text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRequest(f"{name}: is not JSON") from None


def _uploaded(file: Path | None, own: dict[str, Any]) -> LocalFile | None:
    if file is None and not any(own.get(name) for name in _SOURCES):
        raise InvalidRequest("file: is missing; send the recording in it, or an audio_url")
    return None if file is None else LocalFile(file)
