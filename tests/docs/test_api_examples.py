"""docs/API.md against the code: every request in it is parsed, every answer is rendered, every code
is in the table of errors.

The page marks its blocks: `json request=<role>`, `json refused=<role>` with the failed job in the
block after it, `json failure`, and `json answer=<name>` for what the worker answers about the
recordings below, `json progress` for what a running job says.
"""

from __future__ import annotations

import inspect
import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import pytest

from core import errors
from core.domain.codes import SECOND_CODES, is_retryable
from core.domain.parts import DiarizedPart, Likeness
from core.domain.stored import Stored
from core.domain.timeline import (
    Character,
    Diarization,
    LanguageSpan,
    Span,
    Speech,
    Transcript,
    Turn,
    Voice,
    Word,
)
from core.domain.usage import Usage
from core.domain.watch import Stage
from core.errors import InvalidRequest, WorkerError
from core.transcript.labelling import label_words
from core.transcript.paragraphs import split_paragraphs
from core.transcript.segments import split_segments
from core.wire.form import DiarizationFormat, Form, TranscriptFormat
from core.wire.input_fields import Part, TurnField
from core.wire.job_input import (
    AudioInput,
    DiarizationInput,
    OrchestratorInput,
    SingleInput,
    TranscriptionInput,
    parse,
)
from core.wire.render import receipt, render
from emulator.api import JobBody
from emulator.job import Job, Status
from examples import client
from tests.docs.pages import read, rows

PAGE = read("API")

ROLES: dict[str, type[AudioInput]] = {
    "single": SingleInput,
    "orchestrator": OrchestratorInput,
    "transcription": TranscriptionInput,
    "diarization": DiarizationInput,
}

DIALOGUE = Diarization(
    turns=(Turn(0.42, 1.3, "1"), Turn(1.22, 1.7, "2"), Turn(2.1, 2.9, "1")),
    exclusive_turns=(Turn(0.42, 1.22, "1"), Turn(1.22, 1.7, "2"), Turn(2.1, 2.9, "1")),
)
WORDS = (
    Word(0.4, 0.56, "Are", 0.98),
    Word(0.56, 0.72, "you", 0.99),
    Word(0.72, 1.2, "ready?", 0.97),
    Word(1.28, 1.68, "Yes.", 0.91),
    Word(2.08, 2.4, "Let's", 0.95),
    Word(2.4, 2.88, "go.", 0.99),
)


SPEECH_MODEL = "nvidia/parakeet-tdt-0.6b-v2"


def _usage(model: str, **spent_s: float) -> Usage:
    fetched = {"download": 0.214, "decode": 0.051, "speech": 0.0, "speakers": 0.0, "merge": 0.0}
    return Usage(3.2, model, fetched | spent_s)


TURNS = replace(
    DIALOGUE,
    duration=3.2,
    usage=_usage("pyannote/speaker-diarization-community-1", speakers=0.242),
)


def _spoken(words: tuple[Word, ...]) -> Transcript:
    said = label_words(words, DIALOGUE)
    segments = split_segments(said)
    return Transcript(
        3.2,
        said,
        segments,
        paragraphs=split_paragraphs(segments),
        language="en",
        diarized=True,
        num_speakers=DIALOGUE.num_speakers,
        usage=_usage(SPEECH_MODEL, speech=0.187, speakers=0.242, merge=0.001),
        coverage=1.0,
    )


def _detected() -> Transcript:
    """What a model says that hears which language is spoken; a part of it has no words."""
    return replace(
        _spoken(WORDS[2:4]),
        language_confidence=0.98,
        languages=(LanguageSpan(0.72, 1.68, "en"),),
        usage=_usage("openai/whisper-large-v3", speech=0.187, speakers=0.242, merge=0.001),
        coverage=0.57,
        gaps=(Speech(2.02, 3.05),),
    )


def _plain() -> Transcript:
    letters = tuple(
        Character(1.28 + 0.08 * i, 1.36 + 0.08 * i, letter) for i, letter in enumerate("Yes.")
    )
    words = WORDS[3:4]
    return Transcript(
        3.2,
        words,
        split_segments(words),
        letters,
        language="en",
        usage=_usage(SPEECH_MODEL, speech=0.187, merge=0.001),
        coverage=1.0,
    )


def _known() -> Diarization:
    turns = (Turn(0.42, 1.3, "Ada"), Turn(2.1, 2.9, "Ada"))
    voice = Voice("WeSpeakerResNet34-5c1e09a7d2b4", (0.5, -0.5, 0.5, 0.5), "Ada", 1.6)
    return Diarization(turns, turns, duration=3.2, voices=(voice,))


def _part() -> DiarizedPart:
    voice = replace((_known().voices or ())[0], speaker="1")
    turns = (Turn(2698.3, 2700.0, "1"),)
    return DiarizedPart(
        turns,
        turns,
        duration=5400.0,
        voices=(voice,),
        own=Span(0.0, 2700.0),
        heard=Span(0.0, 2740.0),
        margins=(Turn(2700.0, 2704.2, "1"),),
        likeness=Likeness(0.5, 0.6, 0.1),
        known=(replace(voice, speaker="Ada"),),
    )


STORED = Stored(
    "https://answers.example.com/hearing.json",
    387,
    "65f1d51f9e8b01a7dd4ea95d0ad95a71b1cf8d1d1be8d3d44a4d2a09d1d3aa45",
)


def _abridged(answer: dict[str, Any]) -> dict[str, object]:
    """An answer with the first two lines of its page."""
    return answer | {"html": "\n".join(answer["html"].split("\n")[:2]) + "…"}


ANSWERS: dict[str, dict[str, object]] = {
    "json": render(_spoken(WORDS), Form(TranscriptFormat.JSON, timestamps=False)),
    "timestamps": render(_plain(), Form(TranscriptFormat.JSON, timestamps=True)),
    "verbose_json": render(_detected(), Form(TranscriptFormat.VERBOSE_JSON, timestamps=False)),
    "diarized_json": render(
        _spoken(WORDS[2:4]), Form(TranscriptFormat.DIARIZED_JSON, timestamps=False)
    ),
    "text": render(
        replace(_plain(), warnings=("the recording seems to be cut short",)),
        Form(TranscriptFormat.TEXT, timestamps=False),
    ),
    "srt": render(_spoken(WORDS), Form(TranscriptFormat.SRT, timestamps=False)),
    "vtt": render(_spoken(WORDS), Form(TranscriptFormat.VTT, timestamps=False)),
    "html": _abridged(render(_spoken(WORDS), Form(TranscriptFormat.HTML))),
    "diarization": render(TURNS, Form(DiarizationFormat.JSON)),
    "embeddings": render(_known(), Form(DiarizationFormat.JSON)),
    "part": render(_part(), Form(DiarizationFormat.JSON)),
    "receipt": receipt(render(_spoken(WORDS), Form(TranscriptFormat.SRT)), STORED),
    "rttm": render(TURNS, Form(DiarizationFormat.RTTM)),
}


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of the page."""

    mark: str
    value: str
    text: str

    @property
    def json(self) -> Any:
        """Its value."""
        return json.loads(self.text)


def _blocks() -> list[Block]:
    found = re.findall(
        r"^```json(?: (\w+)(?:=(\w+))?)?\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
    )
    return [Block(*parts) for parts in found]


def _marked(mark: str) -> list[Any]:
    blocks = [block for block in _blocks() if block.mark == mark]
    return [
        pytest.param(block, id=f"{block.value}-{number}") for number, block in enumerate(blocks)
    ]


def _table(heading: str) -> list[list[str]]:
    return rows(PAGE, heading)


def _leaves(kind: type[WorkerError] = WorkerError) -> list[type[WorkerError]]:
    return [leaf for child in kind.__subclasses__() for leaf in _leaves(child)] or [kind]


def test_every_block_of_json_is_marked_and_is_json() -> None:
    """None escapes the tests below."""
    assert len(_blocks()) == PAGE.count("```json")
    for block in _blocks():
        assert block.mark in {"request", "refused", "failure", "answer", "progress"}
        assert block.json


# requests


@pytest.mark.parametrize("block", _marked("request"))
def test_every_request_is_taken(block: Block) -> None:
    """By the role that it is written for."""
    assert parse(ROLES[block.value], block.json["input"]).recording.source.value


def test_every_field_is_used_in_two_requests() -> None:
    """Of every role together, and the fields of their parts."""
    used = Counter[str]()
    for block in (block for block in _blocks() if block.mark == "request"):
        asked = block.json["input"]
        segments = [name for one in asked.get("diarization_segments") or () for name in one]
        used.update(
            [
                *asked,
                *{f"diarization_segments.{name}" for name in segments},
                *(f"part.{name}" for name in asked.get("part") or ()),
            ]
        )
    fields = {name for kind in ROLES.values() for name in kind.model_fields}
    fields |= {f"part.{name}" for name in Part.model_fields} | {
        f"diarization_segments.{name}" for name in TurnField.model_fields
    }
    assert {name: used[name] for name in fields if used[name] < 2} == {}


def test_the_table_names_every_field_with_its_roles_and_default() -> None:
    """And no other; a default is written as JSON has it."""
    documented = {}
    for names, roles, _, default, *_ in _table("Request"):
        for name in re.findall(r"`(\w+)`", names):
            documented[name] = (
                set(ROLES) if roles == "all" else set(roles.split(", ")),
                default.strip("`"),
            )
    assert documented.pop("timestamp") == documented["timestamps"]
    assert set(documented) == {name for kind in ROLES.values() for name in kind.model_fields}
    for name, (roles, default) in documented.items():
        having = {
            role: kind.model_fields[name]
            for role, kind in ROLES.items()
            if name in kind.model_fields
        }
        assert roles == set(having), name
        assert {
            "–" if field.default is None else json.dumps(field.default).strip('"')
            for field in having.values()
        } == {default}, name


@pytest.mark.parametrize(
    ("refused", "failure"),
    [
        (one, other)
        for one, other in zip(_blocks(), _blocks()[1:], strict=False)
        if one.mark == "refused"
    ],
    ids=lambda block: block.mark,
)
def test_every_refused_request_fails_as_told(refused: Block, failure: Block) -> None:
    """With the very sentence on the page."""
    assert failure.mark == "failure"
    with pytest.raises(InvalidRequest) as raised:
        parse(ROLES[refused.value], refused.json["input"])
    assert failure.json["error"] == f"{raised.value.code}: {raised.value}"


# answers


@pytest.mark.parametrize("name", ANSWERS)
def test_every_answer_is_what_is_rendered(name: str) -> None:
    """Value for value."""
    (block,) = [block for block in _blocks() if (block.mark, block.value) == ("answer", name)]
    assert block.json == ANSWERS[name]


def test_every_format_has_an_example() -> None:
    """And is in the table of its role."""
    shown = {block.value for block in _blocks() if block.mark == "answer"}
    assert shown == set(ANSWERS) >= {*TranscriptFormat, DiarizationFormat.RTTM}
    named = {name for row in _table("Answer") for name in re.findall(r"`(\w+)`", row[0])}
    assert named == {*TranscriptFormat, *DiarizationFormat}


def _fields(value: object, where: str = "") -> set[str]:
    """The names in an answer, those of parts behind a point."""
    if isinstance(value, list):
        return {name for part in value for name in _fields(part, where)}
    if not isinstance(value, dict):
        return set()
    return {f"{where}{name}" for name in value} | {
        name for key, part in value.items() for name in _fields(part, f"{where}{key}.")
    }


def test_the_table_of_fields_names_every_field_of_every_answer() -> None:
    """And no other."""
    told = {name for row in _table("Every field") for name in re.findall(r"`([\w.]+)`", row[0])}
    assert told == set[str]().union(*map(_fields, ANSWERS.values()))


# the platform's part


def test_the_tables_of_a_job_name_what_the_platform_takes_and_gives() -> None:
    """As its emulation has it."""
    told = {row[0].strip("`") for row in _table("Job")}
    assert told == {info.alias or name for name, info in JobBody.model_fields.items()}
    given = PAGE.split("What `/run` answers")[1].split("\n\n")[1]
    states = re.findall(r"`([A-Z_]+)`", given)
    assert set(states) == {state.value for state in Status}
    fields = set(re.findall(r"^\| `(\w+)`", given, re.MULTILINE))
    assert fields == set(re.findall(r'wire\["(\w+)"\]', inspect.getsource(Job.wire))) | {
        "id",
        "status",
    }


def test_the_stages_of_progress_are_those_of_the_flows() -> None:
    """All that core reports, and no other."""
    reported = {str(stage) for stage in Stage}
    (progress,) = [block.json for block in _blocks() if block.mark == "progress"]
    told = PAGE.split("`stage` is ")[1].split(";")[0]
    assert set(re.findall(r"`(\w+)`", told)) == reported
    assert progress["stage"] in reported
    assert set(progress) == {"stage", "percent"}


# errors


def test_the_table_of_errors_holds_every_code() -> None:
    """And no other, with whether the same request may succeed later."""
    told = {row[0].strip("`"): row[3] for row in _table("Codes")}
    expected = {
        leaf.code: "yes" if leaf.retryable else "no"
        for leaf in _leaves()
        if leaf is not errors.SettingsError
    }
    assert told == expected | dict.fromkeys(SECOND_CODES, "yes")
    assert told == {code: "yes" if is_retryable(code) else "no" for code in told}


def test_the_clients_copy_of_the_table_is_the_table() -> None:
    """The same codes are worth another try."""
    told = {row[0].strip("`") for row in _table("Codes") if row[3] == "yes"}
    assert told == client.RETRYABLE


@pytest.mark.parametrize("block", _marked("failure"))
def test_every_failed_job_has_the_shape_of_one(block: Block) -> None:
    """An error with its code in front, and no output."""
    assert set(block.json) == {"status", "error"}
    assert block.json["status"] == "FAILED"
    code = block.json["error"].partition(": ")[0]
    assert code in {row[0].strip("`") for row in _table("Codes")}
