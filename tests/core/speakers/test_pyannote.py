"""pyannote's pipelines behind `Diarizer`: the embedded one on recordings whose speakers are
known.
"""

import itertools
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.domain.request import SpeakerCount
from core.domain.timeline import Diarization
from core.errors import Cancelled, ModelFailed, ModelNotFound, OutOfMemory
from core.media.audio import SAMPLE_RATE, Waveform
from core.modelstore import ModelLocation, Places, find_diarization_model
from core.speakers.pyannote import PyannoteDiarizer
from tests import golden

NOT_KNOWN = SpeakerCount()


def diarize(
    diarizer: PyannoteDiarizer,
    waveform: Waveform,
    speakers: SpeakerCount = NOT_KNOWN,
    *,
    progress: Callable[[float], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Diarization:
    """Call with nobody watching unless told otherwise."""
    return diarizer.diarize(waveform, speakers=speakers, progress=progress, cancelled=cancelled)


@pytest.fixture(scope="module")
def diarizer() -> PyannoteDiarizer:
    """The embedded pipeline."""
    location = find_diarization_model("embedded")
    return PyannoteDiarizer(
        location, device="cpu", segmentation_batch_size=4, embedding_batch_size=4
    )


@pytest.fixture(scope="module")
def dialogue() -> golden.Golden:
    """Two speakers, 22 s."""
    return golden.load("dialogue")


@pytest.fixture(scope="module")
def exchange(dialogue) -> Waveform:
    """The last 12 s of it: both speak, one after the other."""
    return Waveform(dialogue.waveform.samples[10 * SAMPLE_RATE :], 10.0)


@pytest.fixture(scope="module")
def brief_answer(diarizer, exchange) -> Diarization:
    """Who speaks in the exchange."""
    return diarize(diarizer, exchange)


@pytest.fixture(scope="module")
def answer(diarizer, dialogue) -> Diarization:
    """Who speaks in the dialogue."""
    return diarize(diarizer, dialogue.waveform)


def error_rate(answer: Diarization, reference: golden.Golden) -> float:
    """Diarization error rate without a collar, overlap scored, by pyannote.metrics."""
    from pyannote.core import Annotation, Segment
    from pyannote.metrics.diarization import DiarizationErrorRate

    truth, said = Annotation(), Annotation()
    for annotation, turns in ((truth, reference.turns), (said, answer.turns)):
        for index, turn in enumerate(turns):
            annotation[Segment(turn.start, turn.end), index] = turn.speaker
    return float(DiarizationErrorRate()(truth, said, uem=None))


def test_speakers_of_a_dialogue_are_found(answer, dialogue):
    """The right number of speakers, at the right times, without a word of warning."""
    assert answer.num_speakers == len({turn.speaker for turn in dialogue.turns})
    assert error_rate(answer, dialogue) < 0.15
    assert answer.warnings == ()


def test_turns_are_sorted_named_and_inside_the_recording(answer, dialogue):
    """Speakers are called in the order in which they first speak, and no turn leaves the
    recording.
    """
    for turns in (answer.turns, answer.exclusive_turns):
        assert list(turns) == sorted(turns, key=lambda turn: (turn.start, turn.end))
        assert all(0 <= turn.start < turn.end <= dialogue.waveform.end for turn in turns)
    assert list(dict.fromkeys(turn.speaker for turn in answer.turns)) == ["1", "2"]


def test_exclusive_turns_do_not_overlap_and_lie_in_ordinary_ones(answer):
    """At any time at most one speaker, who speaks in the ordinary turns too."""
    assert all(
        left.end <= right.start for left, right in itertools.pairwise(answer.exclusive_turns)
    )
    for turn in answer.exclusive_turns:
        said = sum(turn.overlap(other) for other in answer.turns if other.speaker == turn.speaker)
        assert said == pytest.approx(turn.duration, abs=0.02)


def test_times_are_those_of_the_whole_recording(diarizer):
    """A waveform that begins at a minute has its turns a minute later."""
    waveform = golden.load("sentences").waveform
    at_zero, later = (diarize(diarizer, replace(waveform, start=start)) for start in (0.0, 60.0))
    moved = [(turn.start - 60, turn.end - 60) for turn in later.turns]
    assert np.allclose(moved, [(turn.start, turn.end) for turn in at_zero.turns])
    assert moved


@pytest.mark.parametrize(
    ("speakers", "count", "warning"),
    [
        (SpeakerCount(exact=2), 2, None),
        (SpeakerCount(at_least=1, at_most=5), 2, None),
        (SpeakerCount(exact=1), 1, "finds 2 speakers by itself and was made to find 1"),
        (SpeakerCount(at_most=1), 1, "finds 2 speakers by itself and was made to find 1"),
        (SpeakerCount(at_least=3), 3, "finds 2 speakers by itself and was made to find 3"),
    ],
)
def test_caller_bounds_the_number_of_speakers(
    diarizer, exchange, brief_answer, speakers, count, warning
):
    """What agrees with the model changes nothing; what does not is done, and the caller is told."""
    bounded = diarize(diarizer, exchange, speakers)
    assert bounded.num_speakers == count
    assert (bounded == brief_answer) if warning is None else (warning in bounded.warnings[0])


@pytest.mark.parametrize("seconds", [5, 12])
def test_more_speakers_than_speech_are_answered_with_a_warning(diarizer, exchange, seconds):
    """Sixty speakers cannot be told apart in a few seconds: an answer, not an error."""
    answer = diarize(
        diarizer, Waveform(exchange.samples[: seconds * SAMPLE_RATE], 0.0), SpeakerCount(exact=60)
    )
    assert 1 <= answer.num_speakers < 60
    assert answer.warnings[0].endswith("could be told apart, although 60 were asked for")


@pytest.mark.parametrize("samples", [0, 1, 400, SAMPLE_RATE // 2, 12 * SAMPLE_RATE])
def test_silence_of_any_length_has_no_turns(diarizer, samples):
    """Nothing at all, less than one frame, less than one window, more than one window."""
    answer = diarize(
        diarizer, Waveform(np.zeros(samples, np.float32), 5.0), SpeakerCount(at_least=2)
    )
    assert (answer.turns, answer.exclusive_turns, answer.num_speakers) == ((), (), 0)


def test_short_piece_of_speech_has_one_speaker(diarizer):
    """Half a second is less than any window of the models."""
    samples = golden.load("sentences").waveform.samples[int(1.5 * SAMPLE_RATE) : 2 * SAMPLE_RATE]
    assert diarize(diarizer, Waveform(samples, 1.5)).num_speakers == 1


def test_samples_are_left_as_they_are(diarizer):
    """The caller's samples, which are not copied, are not changed either."""
    waveform = golden.load("sentences").waveform
    before = waveform.samples.copy()
    diarize(diarizer, waveform)
    assert np.array_equal(waveform.samples, before)


def test_progress_rises_to_one(diarizer, exchange):
    """Fractions never fall, come between the steps too, and end at 1."""
    fractions: list[float] = []
    diarize(diarizer, exchange, progress=fractions.append)
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert len({fraction for fraction in fractions if 0 < fraction < 1}) >= 4


def test_cancel_ends_the_run_at_the_next_batch(diarizer, exchange, brief_answer):
    """The embeddings are never reached, and the pipeline still works for the next job."""
    fractions: list[float] = []
    with pytest.raises(Cancelled):
        diarize(
            diarizer, exchange, progress=fractions.append, cancelled=lambda: len(fractions) >= 2
        )
    assert max(fractions) <= 0.25
    assert diarize(diarizer, exchange) == brief_answer


def test_two_jobs_at_once_get_their_own_answers(diarizer, exchange, brief_answer):
    """Jobs of several threads take turns on the one thread of the pipeline."""
    sentences = golden.load("sentences").waveform
    alone = diarize(diarizer, sentences)
    with ThreadPoolExecutor(3) as pool:
        answers = list(
            pool.map(lambda waveform: diarize(diarizer, waveform), (sentences, exchange, sentences))
        )
    assert answers == [alone, brief_answer, alone]


@pytest.mark.parametrize("fails", [False, True])
def test_tf32_is_as_it_was_after_a_run(diarizer, fails):
    """What changes the process-wide switches during a run is undone, also when the run fails."""
    waveform = golden.load("sentences").waveform
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32

    def switch(_: float) -> None:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = (
            not before[0],
            not before[1],
        )
        if fails:
            raise ValueError("the watcher failed")

    if fails:
        with pytest.raises(ValueError, match="the watcher failed"):
            diarize(diarizer, waveform, progress=switch)
    else:
        # Only the pipeline's own calls of `progress` lie inside the run.
        diarize(
            diarizer, waveform, progress=lambda fraction: switch(fraction) if fraction < 1 else None
        )
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == before


def test_nothing_is_told_to_the_makers_of_the_pipeline(diarizer):
    """No span of telemetry is made, neither for loading nor for a job; the probe itself does hear
    of one.
    """
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from pyannote.audio.telemetry import metrics

    heard = InMemorySpanExporter()
    metrics.provider.add_span_processor(SimpleSpanProcessor(heard))
    loaded = PyannoteDiarizer(find_diarization_model("embedded"), device="cpu")
    diarize(loaded, golden.load("sentences").waveform, SpeakerCount(exact=1))
    assert not metrics.is_metrics_enabled()
    assert heard.get_finished_spans() == ()


class Hungry(PyannoteDiarizer):
    """Runs out of memory, in torch's own allocator, as long as a batch is larger than
    `capacity`.
    """

    capacity = 4

    def _run(self, *arguments):
        if self._pipeline.embedding_batch_size > self.capacity:
            torch.empty(1 << 50)
        return super()._run(*arguments)


def test_out_of_memory_halves_the_batches_until_they_fit(exchange, brief_answer):
    """The answer is the same, and the next job begins with what fitted."""
    hungry = Hungry(find_diarization_model("embedded"), device="cpu")
    found = diarize(hungry, exchange)
    assert [turn.speaker for turn in found.turns] == [turn.speaker for turn in brief_answer.turns]
    assert hungry._pipeline.embedding_batch_size == 4


def test_out_of_memory_on_the_smallest_batch_is_an_error(diarizer):
    """When even batches of one do not fit the caller is told so."""
    hungry = Hungry(find_diarization_model("embedded"), device="cpu")
    hungry.capacity = 0
    with pytest.raises(OutOfMemory, match="smallest batch"):
        diarize(hungry, golden.load("sentences").waveform)
    assert hungry._pipeline.segmentation_batch_size == hungry._pipeline.embedding_batch_size == 1


def test_failing_gpu_replaces_the_worker(diarizer):
    """A CUDA error of the watcher's making passes as one of the model's: this process takes no more
    jobs.
    """

    def fault(_: float) -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(ModelFailed, match="the GPU failed") as caught:
        diarize(diarizer, golden.load("sentences").waveform, progress=fault)
    assert caught.value.refresh_worker


LEGACY = """\
version: 3.1.0
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: AgglomerativeClustering
    embedding: pyannote/wespeaker-voxceleb-resnet34-LM
    embedding_batch_size: 32
    embedding_exclude_overlap: true
    segmentation: pyannote/segmentation-3.0
    segmentation_batch_size: 32
params:
  clustering: {method: centroid, min_cluster_size: 12, threshold: 0.7}
  segmentation: {min_duration_off: 0.0}
"""


def test_pipeline_of_several_repositories_works_and_gives_exclusive_turns(tmp_path, dialogue):
    """A pipeline configured as 3.1 is, its models in repositories of their own, none of them on the
    hub.
    """
    image = tmp_path / "image"
    embedded = Places().embedded / "diarization"
    for model_id, part in (
        ("segmentation-3.0", "segmentation"),
        ("wespeaker-voxceleb-resnet34-LM", "embedding"),
    ):
        shutil.copytree(embedded / part, image / f"pyannote--{model_id}")
    (image / "pyannote--speaker-diarization-3.1").mkdir()
    (image / "pyannote--speaker-diarization-3.1" / "config.yaml").write_text(LEGACY)
    places = Places(
        platform_cache=tmp_path, image=image, hub_cache=tmp_path, hub="http://127.0.0.1:9"
    )
    answer = diarize(
        PyannoteDiarizer(find_diarization_model("pyannote/speaker-diarization-3.1", places=places)),
        dialogue.waveform,
    )
    assert answer.num_speakers == 2
    assert answer.exclusive_turns


@pytest.mark.parametrize(
    "config",
    [
        "pipeline: {name: pyannote.audio.pipelines.SpeakerDiarization, params: {segmentation: "
        "$model/segmentation}}",
        "pipeline: {name: pyannote.audio.pipelines.NoSuchPipeline}",
        "pipeline: [",
        "",
    ],
)
def test_folder_that_holds_no_pipeline_is_refused(tmp_path, config):
    """What pyannote cannot load is said without its path."""
    (tmp_path / "config.yaml").write_text(config)
    with pytest.raises(ModelNotFound, match="cannot be read as a pyannote pipeline") as caught:
        PyannoteDiarizer(ModelLocation(tmp_path, "a test", "pyannote"))
    assert str(tmp_path.parent) not in str(caught.value)


def test_damaged_weights_are_refused(tmp_path):
    """A model file that was cut short is named as the reason."""
    folder = tmp_path / "pipeline"
    shutil.copytree(Path(find_diarization_model("embedded").path), folder)
    weights = folder / "segmentation" / "pytorch_model.bin"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelNotFound, match="check its files"):
        PyannoteDiarizer(find_diarization_model(str(folder)))
