"""The two shapes of OpenAI's transcription API, field by field as its clients' types have them, and
what we know beyond them.
"""

from __future__ import annotations

import math
import zlib
from statistics import fmean

from core.domain.rounding import confidence, seconds
from core.domain.timeline import Segment, Transcript, Word
from core.wire.fields import Answer

UNKNOWN_SPEAKER = "unknown"
"""Where OpenAI's type demands a speaker's name and there is none."""
UNKNOWN_LANGUAGE = "und"
"""ISO 639-2 for an undetermined language, where OpenAI's type demands one."""


def verbose_json(transcript: Transcript) -> Answer:
    """OpenAI's `TranscriptionVerbose`; words and segments also say who, how sure, and whether
    others spoke too.
    """
    return {
        "task": "transcribe",
        "language": transcript.language or UNKNOWN_LANGUAGE,
        "segments": [
            _verbose_segment(index, segment, transcript.diarized)
            for index, segment in enumerate(transcript.segments)
        ],
        "words": [_verbose_word(word, transcript.diarized) for word in transcript.words],
        "usage": _usage(transcript),
    }


def _verbose_segment(index: int, segment: Segment, diarized: bool) -> Answer:
    """OpenAI's segment; what only Whisper has is given as Whisper gives it for speech that it is
    sure of.
    """
    confidences = [
        word.confidence
        for word in segment.words
        if word.confidence and math.isfinite(word.confidence)
    ]
    encoded = segment.text.encode()
    return {
        "id": index,
        "seek": round(100 * segment.start),
        "start": seconds(segment.start),
        "end": seconds(segment.end),
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
        "start": seconds(word.start),
        "end": seconds(word.end),
        "confidence": confidence(word.confidence),
    }
    if diarized:
        said |= {
            "speaker": word.speaker,
            "speaker_confidence": confidence(word.speaker_confidence),
            "overlap": word.overlapped,
            "nearest": word.nearest,
        }
    return said


def diarized_json(transcript: Transcript) -> Answer:
    """OpenAI's `TranscriptionDiarized`, with words."""
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
    return {"type": "duration", "seconds": seconds(transcript.duration)}
