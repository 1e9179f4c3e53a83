"""Transcript → the answer on the wire: one small renderer per format, all on the same common part.

Times are seconds with three decimals. Everything is plain JSON: dicts, lists, strings, finite numbers, booleans and None.
"""

from __future__ import annotations

import html
import math
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby
from statistics import fmean

from core.schema import DiarizationFormat, TranscriptFormat
from core.timeline import Diarization, Segment, Transcript, Turn, Word

Answer = dict[str, object]

# Two lines of 42 characters, 5/6 to 7 seconds: what Netflix's guide for timed text asks of subtitles in Latin letters.
LINE_CHARACTERS = 42
LINES = 2
SHORTEST_CUE_MS = 833
LONGEST_CUE_MS = 7000
CLAUSE_PAUSE_S = 0.2
LABEL_CHARACTERS = 24

UNKNOWN_SPEAKER = "unknown"
"""Where OpenAI's type demands a speaker's name and there is none."""
UNKNOWN_LANGUAGE = "und"
"""ISO 639-2 for an undetermined language, where OpenAI's type demands one."""


def render(transcript: Transcript, response_format: TranscriptFormat, *, timestamps: bool) -> Answer:
    """The answer of a worker that transcribes, ready for `json.dumps`.

    `timestamps` adds the times of words, segments and characters to whichever format was asked for.
    """
    answer: Answer = {
        "success": True,
        "text": transcript.text,
        "language": transcript.language,
        "duration": _seconds(transcript.duration),
        "warnings": list(transcript.warnings),
    }
    if transcript.diarized:
        answer["num_speakers"] = transcript.num_speakers
    answer |= _RENDERERS[response_format](transcript)
    if timestamps:
        answer["timestamps"] = _timestamps(transcript)
    return answer


def render_diarization(diarization: Diarization, duration: float, response_format: DiarizationFormat) -> Answer:
    """The answer of the worker that only finds speakers, ready for `json.dumps`; `duration` is that of the file, in seconds."""
    answer: Answer = {
        "success": True,
        "duration": _seconds(duration),
        "num_speakers": diarization.num_speakers,
        "warnings": list(diarization.warnings),
    }
    if response_format is DiarizationFormat.RTTM:
        return answer | {"rttm": _rttm(diarization.turns)}
    return answer | {"segments": _turns(diarization.turns), "exclusive_segments": _turns(diarization.exclusive_turns)}


def _seconds(time: float) -> float:
    return round(time, 3)


def _share(value: float | None) -> float | None:
    return round(value, 3) if value is not None and math.isfinite(value) else None


def _timestamps(transcript: Transcript) -> Answer:
    def timed(start: float, end: float, name: str, text: str) -> Answer:
        return {"start": _seconds(start), "end": _seconds(end), name: text}

    return {
        "word": [timed(word.start, word.end, "text", word.text) for word in transcript.words],
        "segment": [timed(segment.start, segment.end, "segment", segment.text) for segment in transcript.segments],
        "char": [timed(char.start, char.end, "char", char.text) for char in transcript.characters],
    }


# JSON


def _json(transcript: Transcript) -> Answer:
    if not transcript.diarized:
        return {}
    return {"segments": [_spoken(segment) | {"text": segment.text} for segment in transcript.segments]}


def _spoken(spoken: Segment | Turn) -> Answer:
    return {"start": _seconds(spoken.start), "end": _seconds(spoken.end), "speaker": spoken.speaker}


def _verbose_json(transcript: Transcript) -> Answer:
    return {
        "task": "transcribe",
        "language": transcript.language or UNKNOWN_LANGUAGE,
        "segments": [_verbose_segment(index, segment, transcript.diarized) for index, segment in enumerate(transcript.segments)],
        "words": [_verbose_word(word, transcript.diarized) for word in transcript.words],
        "usage": _usage(transcript),
    }


def _verbose_segment(index: int, segment: Segment, diarized: bool) -> Answer:
    """OpenAI's segment; what only Whisper has is given as Whisper gives it for speech that it is sure of."""
    confidences = [word.confidence for word in segment.words if word.confidence and math.isfinite(word.confidence)]
    encoded = segment.text.encode()
    return {
        "id": index,
        "seek": round(100 * segment.start),
        "start": _seconds(segment.start),
        "end": _seconds(segment.end),
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": round(fmean(map(math.log, confidences)), 3) if confidences else 0.0,
        "compression_ratio": round(len(encoded) / len(zlib.compress(encoded)), 3),
        "no_speech_prob": 0.0,
    } | ({"speaker": segment.speaker} if diarized else {})


def _verbose_word(word: Word, diarized: bool) -> Answer:
    said: Answer = {
        "word": word.text,
        "start": _seconds(word.start),
        "end": _seconds(word.end),
        "confidence": _share(word.confidence),
    }
    if diarized:
        said |= {
            "speaker": word.speaker,
            "speaker_confidence": _share(word.speaker_confidence),
            "overlap": word.overlapped,
            "nearest": word.nearest,
        }
    return said


def _diarized_json(transcript: Transcript) -> Answer:
    return {
        "task": "transcribe",
        "segments": [_diarized_segment(number, segment) for number, segment in enumerate(transcript.segments, start=1)],
        "words": [_verbose_word(word, transcript.diarized) for word in transcript.words],
        "usage": _usage(transcript),
    }


def _diarized_segment(number: int, segment: Segment) -> Answer:
    return {
        "type": "transcript.text.segment",
        "id": f"seg_{number:03d}",
        "start": _seconds(segment.start),
        "end": _seconds(segment.end),
        "text": segment.text,
        "speaker": segment.speaker or UNKNOWN_SPEAKER,
    }


def _usage(transcript: Transcript) -> Answer:
    return {"type": "duration", "seconds": _seconds(transcript.duration)}


# Turns


def _turns(turns: Iterable[Turn]) -> list[Answer]:
    return [_spoken(turn) for turn in turns]


def _rttm(turns: Iterable[Turn]) -> str:
    """NIST's Rich Transcription Time Marked lines, one a turn; what is shorter than its three decimals show is left out."""
    times = ((round(turn.start, 3), round(turn.end, 3), turn.speaker) for turn in turns)
    return "".join(
        f"SPEAKER recording 1 {start:.3f} {end - start:.3f} <NA> <NA> {'_'.join(_one_line(speaker).split())} <NA> <NA>\n"
        for start, end, speaker in times
        if end > start
    )


# Subtitles


@dataclass(frozen=True, slots=True)
class _Cue:
    start_ms: int
    end_ms: int
    words: tuple[Word, ...]


def _srt(transcript: Transcript) -> Answer:
    def block(number: int, cue: _Cue) -> str:
        lines = "\n".join(_lines(_labelled(cue.words))).translate(_NOT_STYLING)
        return f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n{lines}\n"

    cues = _cues(transcript, _labelled)
    return {"srt": "\n".join(block(number, cue) for number, cue in enumerate(cues, start=1))}


def _vtt(transcript: Transcript) -> Answer:
    def block(cue: _Cue) -> str:
        label = _label(cue.words[0].speaker)
        voice = f"<v {html.escape(label, quote=False)}>" if label else ""
        lines = html.escape("\n".join(_lines(_unlabelled(cue.words))), quote=False)
        return f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n{voice}{lines}\n"

    return {"vtt": "\n".join(["WEBVTT\n", *map(block, _cues(transcript, _unlabelled))])}


_NOT_STYLING = str.maketrans("<>{}", "‹›()")
"""srt has no way to escape what players read as styling, or parsers as an arrow; the nearest characters stand in."""


def _clock(milliseconds: int, point: str) -> str:
    seconds, milliseconds = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{milliseconds:03d}"


def _one_line(text: str) -> str:
    """The text with single blanks for all white space and without control characters."""
    return "".join(char for char in " ".join(text.split()) if unicodedata.category(char) not in ("Cc", "Cs"))


def _label(speaker: str | None) -> str:
    """What a reader is shown: a number gets the word «Speaker» before it, a name stands as it is."""
    name = _one_line(speaker or "")
    if len(name) > LABEL_CHARACTERS:
        name = name[: LABEL_CHARACTERS - 1] + "…"
    return f"Speaker {name}" if name.isdigit() or len(name) == 1 else name


def _unlabelled(words: Sequence[Word]) -> list[str]:
    return [word.text for word in words]


def _labelled(words: Sequence[Word]) -> list[str]:
    label = _label(words[0].speaker)
    return [f"{label}:"] * bool(label) + _unlabelled(words)


def _lines(texts: Sequence[str]) -> tuple[str, ...]:
    """One line, or two as even as possible, parted only between texts."""
    line = " ".join(texts)
    cuts = accumulate(len(text) + 1 for text in texts[:-1])
    cut = min(cuts, key=lambda cut: max(cut - 1, len(line) - cut), default=0)
    return (line,) if len(line) <= LINE_CHARACTERS or not cut else (line[: cut - 1], line[cut:])


def _cues(transcript: Transcript, texts: Callable[[Sequence[Word]], list[str]]) -> Iterator[_Cue]:
    """The segments as cues of one speaker each that do not overlap; `texts` says what a cue of these words would show."""
    groups = [
        tuple(group)
        for segment in transcript.segments
        for _, run in groupby(segment.words, key=lambda word: word.speaker)
        for group in _readable([piece for word in run for piece in _pieces(word)], texts)
    ]
    free_ms = 0
    for group, following in zip(groups, [*groups[1:], None], strict=True):
        cue = _shown(group, following, free_ms)
        free_ms = cue.end_ms
        yield cue


def _pieces(word: Word) -> Iterator[Word]:
    """The word, or parts of it that fit a line, each with its part of the time."""
    text = _one_line(word.text)
    for first in range(0, len(text), LINE_CHARACTERS):
        part = text[first : first + LINE_CHARACTERS].strip()
        start, end = (word.start + word.duration * at / len(text) for at in (first, min(len(text), first + LINE_CHARACTERS)))
        yield replace(word, start=start, end=end, text=part)


def _readable(words: list[Word], texts: Callable[[Sequence[Word]], list[str]]) -> Iterator[list[Word]]:
    """Cut at a comma, else at a pause, else in the middle, again and again, until every part fits a cue."""
    if len(words) < 2 or _fits(words, texts):
        if words:
            yield words
        return
    middle = range(max(1, len(words) // 4), max(2, len(words) - len(words) // 4))
    cut = max(middle, key=lambda i: (_clause_ends(words[i - 1], words[i]), -abs(2 * i - len(words))))
    yield from _readable(words[:cut], texts)
    yield from _readable(words[cut:], texts)


def _fits(words: Sequence[Word], texts: Callable[[Sequence[Word]], list[str]]) -> bool:
    short = words[-1].end - words[0].start <= LONGEST_CUE_MS / 1000
    return short and all(len(line) <= LINE_CHARACTERS for line in _lines(texts(words)))


def _clause_ends(word: Word, following: Word) -> int:
    if word.text.endswith((",", ";", ":", "–", "—", ".", "?", "!")):
        return 2
    return following.start - word.end >= CLAUSE_PAUSE_S


def _shown(words: tuple[Word, ...], following: tuple[Word, ...] | None, free_ms: int) -> _Cue:
    """When the words are on screen: long enough to be read where that is free, and never together with the cues around."""
    start = max(free_ms, round(1000 * words[0].start))
    end = max(round(1000 * max(word.end for word in words)), start + SHORTEST_CUE_MS)
    limit = start + LONGEST_CUE_MS if following is None else min(start + LONGEST_CUE_MS, round(1000 * following[0].start))
    return _Cue(start, max(start + 1, min(end, limit)), words)


_RENDERERS: dict[TranscriptFormat, Callable[[Transcript], Answer]] = {
    TranscriptFormat.JSON: _json,
    TranscriptFormat.VERBOSE_JSON: _verbose_json,
    TranscriptFormat.DIARIZED_JSON: _diarized_json,
    TranscriptFormat.TEXT: lambda _: {},
    TranscriptFormat.SRT: _srt,
    TranscriptFormat.VTT: _vtt,
}
