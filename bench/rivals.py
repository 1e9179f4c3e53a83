"""What `bench.people` measures ours beside: other ways from a recording to words and speakers.

Each is run on a list of recordings in a process of its own, and each answer is plain JSON.
"""

from __future__ import annotations

import base64
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from core.domain.watch import Watch
from core.flows.load import load_diarization, load_transcription
from core.settings import Settings
from core.wire.job_input import DiarizationInput, TranscriptionInput, parse
from core.wire.render import render
from tests.people.clips import read_wav
from tests.people.places import ROOT, People
from training.dialogues import SpeakerTurn, SpokenWord

Answer = dict[str, Any]
Run = Callable[[Path], Answer]
CHUNK_S = 30.0
"""The longest piece that whisperX transcribes at once."""
BATCH = 8


# --- words ---


def our_words(people: People) -> Run:
    """Return the transcription worker's flow."""
    del people  # MODEL_ID says which model
    flow = load_transcription(Settings.from_environment())

    def run(recording: Path) -> Answer:
        given = {**_inline(recording), "response_format": "verbose_json"}
        asked = parse(TranscriptionInput, given)
        return render(flow.run(asked.request, Watch()), asked.form)

    return run


def whole_file(people: People) -> Run:
    """Return faster-whisper as its own documentation uses it."""
    return _faster_whisper(people, batched=False)


def batched(people: People) -> Run:
    """Return faster-whisper's own batched mode, which drops its guards against invented text."""
    return _faster_whisper(people, batched=True)


def _faster_whisper(people: People, *, batched: bool) -> Run:
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    # int8 is what the worker chooses on a CPU.
    model = WhisperModel(str(people.speech), device="cpu", compute_type="int8", cpu_threads=1)
    pipeline = BatchedInferencePipeline(model)

    def run(recording: Path) -> Answer:
        samples = read_wav(recording)
        if batched:
            segments, _ = pipeline.transcribe(samples, word_timestamps=True, batch_size=BATCH)
        else:
            segments, _ = model.transcribe(samples, word_timestamps=True)
        return {
            "words": [
                {"word": word.word.strip(), "start": word.start, "end": word.end}
                for segment in segments
                for word in segment.words or ()
            ]
        }

    return run


# --- turns ---


def our_turns(people: People) -> Run:
    """Return the diarization worker's flow."""
    del people  # DIARIZATION_MODEL_ID says which models
    flow = load_diarization(Settings.from_environment())

    def run(recording: Path) -> Answer:
        asked = parse(DiarizationInput, _inline(recording))
        return render(flow.run(asked.request, Watch()), asked.form)

    return run


def stock_pyannote(people: People) -> Run:
    """Return pyannote's pipeline as its own documentation uses it, on the same models."""
    import torch
    from pyannote.audio import Pipeline

    from core.modelstore import ModelLocation
    from core.modelstore.pipeline_config import checkpoint
    from core.modelstore.places import PipelinePart

    plda = PipelinePart("plda", ROOT / "models/embedded/diarization/plda")
    location = ModelLocation(people.speakers, "make people", "pyannote", (plda,))
    pipeline = Pipeline.from_pretrained(checkpoint(location))

    def run(recording: Path) -> Answer:
        waveform = torch.from_numpy(read_wav(recording))[None]
        found = pipeline({"waveform": waveform, "sample_rate": 16_000}).speaker_diarization
        turns = found.itertracks(yield_label=True)
        return {
            "segments": [
                {"start": turn.start, "end": turn.end, "speaker": speaker}
                for turn, _, speaker in turns
            ]
        }

    return run


def _inline(recording: Path) -> Answer:
    return {"audio_base64": base64.b64encode(recording.read_bytes()).decode()}


RUNS: dict[str, Callable[[People], Run]] = {
    "our words": our_words,
    "faster-whisper": whole_file,
    "faster-whisper, batched": batched,
    "our turns": our_turns,
    "pyannote": stock_pyannote,
}


def run_all(name: str, people: People, recordings: Iterable[Path]) -> Answer:
    """Run one on recordings; return its answers and their seconds, and the peak of memory."""
    run = RUNS[name](people)
    answers: dict[str, Answer] = {}
    for recording in recordings:
        began, used = time.perf_counter(), time.process_time()
        answer = run(recording)
        answers[recording.stem] = {
            "answer": answer,
            "wall_s": time.perf_counter() - began,
            "processor_s": time.process_time() - used,
        }
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return {"answers": answers, "peak_mb": peak_mb}


# --- whisperX's labels ---


def by_word(
    words: Sequence[SpokenWord], turns: Sequence[SpeakerTurn], people: People
) -> list[SpokenWord]:
    """Label words as whisperX labels them."""
    labelled = _assigned([list(words)], turns, people)
    return [word for segment in labelled for word in _labelled(segment, by_segment=False)]


def by_sentence(
    words: Sequence[SpokenWord], turns: Sequence[SpeakerTurn], people: People
) -> list[SpokenWord]:
    """Label words as whisperX labels the segments that it has after its alignment: sentences."""
    labelled = _assigned(_sentences(words), turns, people)
    return [word for segment in labelled for word in _labelled(segment, by_segment=True)]


def by_chunk(
    words: Sequence[SpokenWord], turns: Sequence[SpeakerTurn], people: People
) -> list[SpokenWord]:
    """Label words as whisperX labels the segments that it has without: what it hears at once."""
    labelled = _assigned(_chunks(words), turns, people)
    return [word for segment in labelled for word in _labelled(segment, by_segment=True)]


def _sentences(words: Sequence[SpokenWord]) -> list[list[SpokenWord]]:
    found: list[list[SpokenWord]] = [[]]
    for word in words:
        found[-1].append(word)
        if word.text.endswith((".", "?", "!")):
            found.append([])
    return [sentence for sentence in found if sentence]


def _chunks(words: Sequence[SpokenWord]) -> list[list[SpokenWord]]:
    found: list[list[SpokenWord]] = []
    for word in words:
        if not found or word.end - found[-1][0].start > CHUNK_S:
            found.append([])
        found[-1].append(word)
    return found


def _assigned(
    segments: Sequence[Sequence[SpokenWord]], turns: Sequence[SpeakerTurn], people: People
) -> list[Answer]:
    """Have whisperX's own function label segments, and the words in them."""
    import pandas as pd

    if str(people.rivals) not in sys.path:
        sys.path.append(str(people.rivals))
    from whisperx.diarize import assign_word_speakers

    table = pd.DataFrame([_row(turn) for turn in turns])
    result = {
        "segments": [
            {
                "start": segment[0].start,
                "end": segment[-1].end,
                "words": [
                    {"word": word.text, "start": word.start, "end": word.end} for word in segment
                ],
            }
            for segment in segments
        ]
    }
    return list(assign_word_speakers(table, result)["segments"])


def _row(turn: SpeakerTurn) -> Answer:
    return {"start": turn.start, "end": turn.end, "speaker": turn.speaker}


def _labelled(segment: Answer, *, by_segment: bool) -> Iterator[SpokenWord]:
    for word in segment["words"]:
        speaker = (segment if by_segment else word).get("speaker", "")
        yield SpokenWord(word["word"], word["start"], word["end"], speaker)
