"""Both models on the device that this machine has, a GPU or not: speed, memory, loading.

    python -m bench.gpu [--full] [--minutes 5 60] [--only speakers speech both]

On a GPU the models have the architectures of parakeet-tdt-0.6b-v2 and community-1, on a CPU thin
ones unless `--full` asks for them; all have random weights, which hear nonsense at the real speed.
Printed are seconds of audio per second (RTFx) of speech by precision and batch; of diarization in
stock pyannote (the first length alone) and by `DIARIZATION_SPEED`; of both models at once, as in
the single worker, with stock pyannote and with ours; how long each loads, and the peak of the
memory.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch

from core.domain.request import Decoding, SpeakerCount
from core.engine.accelerator import choose_device
from core.media.audio import SAMPLE_RATE, Waveform
from core.media.cutting import utterances
from core.modelstore import ModelLocation, find_diarization_model, find_speech_model
from core.settings import DiarizationSpeed, SpeechPrecision
from core.speakers.loading import load_pipeline
from core.speakers.pyannote import PyannoteDiarizer
from core.speech.parakeet import ParakeetModel
from core.speech.transcriber import BatchTranscriber
from tests import golden, models
from tests.core.speakers.stock import stock_answer

BATCHES_S = (100.0, 400.0, 1600.0)
PRECISIONS: tuple[SpeechPrecision, ...] = ("float32", "bfloat16")
TABLES = ("speakers", "speech", "both")
SPEEDS: tuple[DiarizationSpeed, ...] = ("exact", "fast")

_Result = TypeVar("_Result")


def timed(what: str, work: Callable[[], _Result], audio_s: float | None = None) -> _Result:
    """Do the work and print how long it took, its RTFx, and the peak of the memory."""
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    start_s = time.perf_counter()
    result = work()
    if on_gpu:
        torch.cuda.synchronize()
    wall_s = time.perf_counter() - start_s
    speed = f"{audio_s / wall_s:9.1f} x" if audio_s else ""
    host_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    gpu = f"{torch.cuda.max_memory_allocated() / 1e6:8.0f} MB GPU" if on_gpu else ""
    print(f"{what:<44}{wall_s:9.2f} s{speed:>12}{host_mb:8.0f} MB{gpu}", flush=True)
    return result


def talk(seconds: float) -> Waveform:
    """Return a dialogue, again and again."""
    samples = golden.load("dialogue").waveform.samples
    return Waveform(np.resize(samples, int(seconds * SAMPLE_RATE)), 0.0)


def write_models(folder: Path, *, full: bool) -> tuple[Path, ModelLocation]:
    """Write a speech model and a pipeline with random weights."""
    heard = torch.from_numpy(talk(30).samples)
    if full:
        speech = models.parakeet_tdt_0_6b_v2(folder)
        speakers = models.community_1(folder, heard=heard)
    else:
        speech = models.speech_model("tdt", folder)
        segmentation = models.segmentation_model()
        models.stretch(segmentation, heard)
        thin = models.embedding_model("WeSpeakerResNet34", num_mel_bins=16)
        speakers = models.speaker_pipeline(
            folder / "pipeline", segmentation, thin, lda_dimension=16
        )
    return find_speech_model(str(speech)).path, find_diarization_model(str(speakers))


def transcriber(path: Path, precision: SpeechPrecision, batch_s: float) -> BatchTranscriber:
    """Load a speech model."""
    return BatchTranscriber(
        lambda: ParakeetModel(path, precision=precision), name=path.name, batch_s=batch_s
    )


def transcribe(model: BatchTranscriber, waveform: Waveform) -> Any:
    """Find the words."""
    return model.transcribe(
        utterances([waveform.samples]),
        decoding=Decoding(),
        progress=lambda _: None,
        cancelled=lambda: False,
        duration_s=waveform.duration,
    )


def diarize(diarizer: PyannoteDiarizer, waveform: Waveform) -> Any:
    """Find the turns."""
    return diarizer.diarize(
        waveform, speakers=SpeakerCount(), progress=lambda _: None, cancelled=lambda: False
    )


def show_speech(path: Path, waveform: Waveform) -> None:
    """Print a line for each precision and batch."""
    for precision in PRECISIONS:
        for batch_s in BATCHES_S:
            name = f"speech, {precision}, batches of {batch_s:.0f} s"
            model = timed(f"{name}: load", partial(transcriber, path, precision, batch_s))
            timed(name, partial(transcribe, model, waveform), waveform.duration)


def stock_pipeline(location: ModelLocation) -> Any:
    """Load pyannote's own pipeline, its batches as large as its configurations have them."""
    stock = load_pipeline(location, choose_device(None))
    stock.segmentation_batch_size = stock.embedding_batch_size = 32
    return stock


def show_diarization(location: ModelLocation, lengths_s: Sequence[float]) -> None:
    """Print a line for each way and length."""
    stock = stock_pipeline(location)
    first = talk(lengths_s[0])
    timed(f"stock, {lengths_s[0]:.0f} s", partial(stock_answer, stock, first), lengths_s[0])
    for speed in SPEEDS:
        diarizer = timed(f"{speed}: load", partial(PyannoteDiarizer, location, speed=speed))
        for length_s in lengths_s:
            work = partial(diarize, diarizer, talk(length_s))
            timed(f"{speed}, {length_s:.0f} s", work, length_s)


def show_both(path: Path, location: ModelLocation, waveform: Waveform) -> None:
    """Print how long both models take at the same time, as in the single worker."""
    # The speakers come first: a decode with CUDA graphs can break `torch.load`.
    stock, diarizer = stock_pipeline(location), PyannoteDiarizer(location)
    model = transcriber(path, "auto", 400.0)
    ways = {
        "both at once, stock pyannote": partial(stock_answer, stock, waveform),
        "both at once, exact": partial(diarize, diarizer, waveform),
    }
    for what, speakers in ways.items():
        work = partial(at_once, partial(transcribe, model, waveform), speakers)
        timed(what, work, waveform.duration)


def at_once(*works: Callable[[], object]) -> None:
    """Do all at the same time."""
    with ThreadPoolExecutor(len(works)) as pool:
        for job in [pool.submit(work) for work in works]:
            job.result()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--minutes", type=float, nargs="+")
    parser.add_argument("--only", nargs="+", choices=TABLES, default=TABLES)
    options = parser.parse_args()
    on_gpu = torch.cuda.is_available()
    minutes = options.minutes or ([5, 60] if on_gpu else [0.5])
    print(torch.cuda.get_device_name() if on_gpu else f"CPU, {torch.get_num_threads()} threads")
    with tempfile.TemporaryDirectory(prefix="gpu-") as folder:
        path, location = write_models(Path(folder), full=options.full or on_gpu)
        lengths_s = [60 * one for one in minutes]
        first = talk(lengths_s[0])
        if "speakers" in options.only:
            show_diarization(location, lengths_s)
        if "speech" in options.only:
            show_speech(path, first)
        if "both" in options.only:
            show_both(path, location, first)


if __name__ == "__main__":
    main()
