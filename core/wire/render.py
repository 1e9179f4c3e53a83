"""From the result of a flow to an answer: fields common to all formats, and a renderer for each.

Times are seconds with three decimals. Everything is plain JSON: dicts, lists, strings, finite
numbers, booleans and None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict

from core import __version__
from core.domain.parts import DiarizedPart
from core.domain.rounding import seconds
from core.domain.stored import Stored
from core.domain.timeline import Diarization, Segment, Transcript, Turn, Voice
from core.wire import compact, html, openai, subtitles, usage
from core.wire.fields import Answer, one_line
from core.wire.form import DiarizationFormat, Form, TranscriptFormat, WorkerFormat

_IN_A_RECEIPT = (
    *("success", "version", "language", "language_confidence", "duration", "coverage", "warnings"),
    *("num_speakers", "usage"),
)


def render(result: Transcript | Diarization, form: Form) -> Answer:
    """Return the result of a flow as an answer, ready for `json.dumps`."""
    if isinstance(result, Diarization):
        answer = _of_speakers(result, form.response_format)
    elif form.response_format is WorkerFormat.COMPACT:
        answer = compact.write(result, characters=form.timestamps)
    else:
        answer = _of_words(result, form)
    answer |= {"version": __version__}
    if result.usage is not None:
        answer.setdefault("usage", usage.own(result.usage))
    return answer


def receipt(answer: Answer, stored: Stored) -> Answer:
    """Return what the job's output says instead of an answer that was put elsewhere."""
    told = {name: answer[name] for name in _IN_A_RECEIPT if name in answer}
    return told | {"stored": {"url": stored.url, "bytes": stored.bytes, "sha256": stored.sha256}}


def _of_words(transcript: Transcript, form: Form) -> Answer:
    answer: Answer = {
        "success": True,
        "text": transcript.text,
        "language": transcript.language,
        "language_confidence": transcript.language_confidence,
        "duration": seconds(transcript.duration),
        "coverage": transcript.coverage,
        "warnings": list(transcript.told),
    }
    if transcript.diarized:
        answer["num_speakers"] = transcript.num_speakers
    answer |= _RENDERERS[form.response_format](transcript)
    if form.response_format is TranscriptFormat.VERBOSE_JSON:
        answer["task"] = form.task.value
    if form.timestamps:
        answer["timestamps"] = _timestamps(transcript)
    return answer | _embeddings(transcript.voices)


def _of_speakers(diarization: Diarization, response_format: str) -> Answer:
    answer: Answer = {
        "success": True,
        "duration": seconds(diarization.duration),
        "num_speakers": diarization.num_speakers,
        "warnings": list(diarization.warnings),
    }
    answer |= _embeddings(diarization.voices)
    if isinstance(diarization, DiarizedPart):
        answer["part"] = _part(diarization)
    if response_format is DiarizationFormat.RTTM:
        return answer | {"rttm": _rttm(diarization.turns)}
    return answer | {
        "segments": _turns(diarization.turns),
        "exclusive_segments": _turns(diarization.exclusive_turns),
    }


def _part(one: DiarizedPart) -> Answer:
    """Return what joins a part to the others; known voices as a request's `known_speakers`."""
    return {
        "start": seconds(one.own.start),
        "end": seconds(one.own.end),
        "heard_start": seconds(one.heard.start),
        "heard_end": seconds(one.heard.end),
        "margin_segments": _turns(one.margins),
        "likeness": asdict(one.likeness),
        "known_speakers": [
            {"name": voice.speaker, "embedding": {"model": voice.model, "vector": [*voice.vector]}}
            for voice in one.known
        ],
    }


def _embeddings(voices: tuple[Voice, ...] | None) -> Answer:
    """Return the voices that were asked for, each as a request's `known_speakers` takes it."""
    if voices is None:
        return {}
    return {
        "embeddings": [
            {
                "speaker": voice.speaker,
                "seconds": seconds(voice.seconds),
                "model": voice.model,
                "vector": list(voice.vector),
            }
            for voice in voices
        ]
    }


def _timestamps(transcript: Transcript) -> Answer:
    def timed(start: float, end: float, name: str, text: str) -> Answer:
        return {"start": seconds(start), "end": seconds(end), name: text}

    return {
        "word": [timed(word.start, word.end, "text", word.text) for word in transcript.words],
        "segment": [
            timed(segment.start, segment.end, "segment", segment.text)
            for segment in transcript.segments
        ],
        "char": [timed(char.start, char.end, "char", char.text) for char in transcript.characters],
    }


def _json(transcript: Transcript) -> Answer:
    if not transcript.diarized:
        return {}
    return {
        "segments": [_spoken(segment) | {"text": segment.text} for segment in transcript.segments]
    }


def _spoken(one: Segment | Turn) -> Answer:
    return {"start": seconds(one.start), "end": seconds(one.end), "speaker": one.speaker}


def _nothing_more(_: Transcript) -> Answer:
    return {}


def _turns(turns: Iterable[Turn]) -> list[Answer]:
    return [_spoken(turn) for turn in turns]


def _rttm(turns: Iterable[Turn]) -> str:
    """Return NIST's Rich Transcription Time Marked lines, one per turn.

    Leave out turns that are too short for its three decimals.
    """
    times = ((round(turn.start, 3), round(turn.end, 3), turn.speaker) for turn in turns)
    return "".join(
        f"SPEAKER recording 1 {start:.3f} {end - start:.3f} <NA> <NA> "
        f"{'_'.join(one_line(speaker).split())} <NA> <NA>\n"
        for start, end, speaker in times
        if end > start
    )


_RENDERERS: dict[str, Callable[[Transcript], Answer]] = {
    TranscriptFormat.JSON: _json,
    TranscriptFormat.VERBOSE_JSON: openai.verbose_json,
    TranscriptFormat.DIARIZED_JSON: openai.diarized_json,
    TranscriptFormat.TEXT: _nothing_more,
    TranscriptFormat.SRT: subtitles.srt,
    TranscriptFormat.VTT: subtitles.vtt,
    TranscriptFormat.HTML: html.page,
}
