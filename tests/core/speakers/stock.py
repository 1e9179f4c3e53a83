"""pyannote's own pipeline, and its turns as a worker would answer them."""

from __future__ import annotations

from typing import Any

import torch

from core.domain.timeline import Diarization, Turn
from core.media.audio import SAMPLE_RATE, Waveform


def stock_answer(pipeline: Any, waveform: Waveform, **options: Any) -> Diarization:
    """Run a pipeline as pyannote runs it, and number its speakers as our answers do.

    The options are those of `SpeakerDiarization.apply`.
    """
    pipeline.legacy = False  # else there are no exclusive turns
    samples = torch.from_numpy(waveform.samples)[None]
    output = pipeline({"waveform": samples, "sample_rate": SAMPLE_RATE}, **options)
    annotations = (output.speaker_diarization, output.exclusive_speaker_diarization)
    ordinary, exclusive = (_turns(annotation, waveform) for annotation in annotations)
    heard = {turn.speaker for turn in exclusive or ordinary}
    ordinary = [turn for turn in ordinary if turn.speaker in heard]
    numbers: dict[str, str] = {}
    for turn in (*ordinary, *exclusive):
        numbers.setdefault(turn.speaker, str(len(numbers) + 1))
    return Diarization(
        *(
            tuple(Turn(turn.start, turn.end, numbers[turn.speaker]) for turn in turns)
            for turns in (ordinary, exclusive)
        )
    )


def _turns(annotation: Any, waveform: Waveform) -> list[Turn]:
    found = []
    for segment, _, label in annotation.itertracks(yield_label=True):
        end = min(segment.end, waveform.duration)
        if end > segment.start:
            found.append(Turn(waveform.start + segment.start, waveform.start + end, str(label)))
    return sorted(found, key=lambda turn: (turn.start, turn.end))
