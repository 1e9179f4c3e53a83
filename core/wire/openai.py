"""The two shapes of OpenAI's transcription API, and fields of our own beyond them.

OpenAI's fields are those that the types of its clients have.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from statistics import fmean

from core.domain.rounding import confidence, seconds
from core.domain.timeline import LanguageSpan, Paragraph, Segment, Speech, Transcript, Word
from core.wire import usage
from core.wire.fields import Answer

UNKNOWN_SPEAKER = "unknown"
"""Fills in for a missing speaker, whose name OpenAI's type demands."""
UNKNOWN_LANGUAGE = "und"
"""Fills in for a missing language, which OpenAI's type demands: undetermined in ISO 639-2."""


def verbose_json(transcript: Transcript) -> Answer:
    """Return OpenAI's `TranscriptionVerbose`.

    Segments also name their speaker, and words their speaker, confidence and overlap. Paragraphs
    are ours, and so are gaps, stretches of speech without words; `repaired` counts those that a
    second look filled. So are languages, each with where it is heard.
    """
    return {
        "language": transcript.language or UNKNOWN_LANGUAGE,
        "segments": [
            _verbose_segment(index, segment, transcript.diarized)
            for index, segment in enumerate(transcript.segments)
        ],
        "words": [_verbose_word(word, transcript.diarized) for word in transcript.words],
        "paragraphs": [_paragraph(one, transcript.diarized) for one in transcript.paragraphs],
        "gaps": [_stretch(gap) for gap in transcript.gaps],
        "languages": [{"language": one.language} | _stretch(one) for one in transcript.languages],
        "repaired": transcript.repaired,
        "usage": _usage(transcript),
    }


def _paragraph(paragraph: Paragraph, diarized: bool) -> Answer:
    count = len(paragraph.segments)
    answer: Answer = {
        "start": seconds(paragraph.start),
        "end": seconds(paragraph.end),
        "text": paragraph.text,
        "segments": list(range(paragraph.first, paragraph.first + count)),
    }
    return answer | ({"speaker": paragraph.speaker} if diarized else {})


def _stretch(one: Speech | LanguageSpan) -> Answer:
    whose: Answer = {} if one.speaker is None else {"speaker": one.speaker}
    return {"start": seconds(one.start), "end": seconds(one.end)} | whose


def _verbose_segment(index: int, segment: Segment, diarized: bool) -> Answer:
    """Return OpenAI's segment, with Whisper's own fields as Whisper fills them for clear speech."""
    segment_fields: Answer = {
        "id": index,
        "seek": round(100 * segment.start),
        "start": seconds(segment.start),
        "end": seconds(segment.end),
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": _average_log_probability(segment.words),
        "compression_ratio": _compression_ratio(segment.text.encode()),
        "no_speech_prob": 0.0,
    }
    return segment_fields | ({"speaker": segment.speaker} if diarized else {})


def _average_log_probability(words: Sequence[Word]) -> float:
    """Return the mean logarithm of the words' confidences; 0 if no word has one."""
    confidences = [
        word.confidence for word in words if word.confidence and math.isfinite(word.confidence)
    ]
    return round(fmean(map(math.log, confidences)), 3) if confidences else 0.0


def _compression_ratio(encoded: bytes) -> float:
    return round(len(encoded) / len(zlib.compress(encoded)), 3)


def _verbose_word(word: Word, diarized: bool) -> Answer:
    answer: Answer = {
        "word": word.text,
        "start": seconds(word.start),
        "end": seconds(word.end),
        "confidence": confidence(word.confidence),
    }
    if diarized:
        answer |= {
            "speaker": word.speaker,
            "speaker_confidence": confidence(word.speaker_confidence),
            "overlap": word.overlapped,
            "nearest": word.nearest,
        }
    return answer


def diarized_json(transcript: Transcript) -> Answer:
    """Return OpenAI's `TranscriptionDiarized`, and our words."""
    return {
        "task": "transcribe",
        "segments": [
            _diarized_segment(number, segment)
            for number, segment in enumerate(transcript.segments, start=1)
        ],
        "words": [_verbose_word(word, transcript.diarized) for word in transcript.words],
        "usage": _usage(transcript),
    }


def _diarized_segment(number: int, segment: Segment) -> Answer:
    return {
        "type": "transcript.text.segment",
        "id": f"seg_{number:03d}",
        "start": seconds(segment.start),
        "end": seconds(segment.end),
        "text": segment.text,
        "speaker": segment.speaker or UNKNOWN_SPEAKER,
    }


def _usage(transcript: Transcript) -> Answer:
    if transcript.usage is None:
        return {"type": "duration", "seconds": seconds(transcript.duration)}
    return usage.openai(transcript.usage)
