"""pyannote's pipelines behind `Diarizer`, on recordings whose speakers are known."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event

import numpy as np
import pytest
import torch

from core.domain.request import SpeakerCount
from core.domain.timeline import Diarization, Turn
from core.errors import Cancelled, ModelFailed, OutOfMemory
from core.media.audio import SAMPLE_RATE, Waveform
from core.modelstore import find_diarization_model
from core.speakers.pipeline import BatchSizes
from core.speakers.pyannote import PyannoteDiarizer, _named
from tests import golden
from tests.core.speakers.calls import diarize


def error_rate(answer: Diarization, reference: golden.Golden) -> float:
    """Return pyannote.metrics' diarization error rate: no collar, overlap counts."""
    from pyannote.core import Annotation, Segment
    from pyannote.metrics.diarization import DiarizationErrorRate

    truth, said = Annotation(), Annotation()
    for annotation, turns in ((truth, reference.turns), (said, answer.turns)):
        for index, turn in enumerate(turns):
            annotation[Segment(turn.start, turn.end), index] = turn.speaker
    return float(DiarizationErrorRate()(truth, said, uem=None))


def test_speakers_of_a_dialogue_are_found(answer, dialogue):
    """Their number and their times are right, and there is no warning."""
    assert answer.num_speakers == len({turn.speaker for turn in dialogue.turns})
    assert error_rate(answer, dialogue) < 0.15
    assert answer.warnings == ()


def test_turns_are_sorted_named_and_inside_the_recording(answer, dialogue):
    """Speakers are numbered in the order in which they first speak."""
    for turns in (answer.turns, answer.exclusive_turns):
        assert list(turns) == sorted(turns, key=lambda turn: (turn.start, turn.end))
        assert all(0 <= turn.start < turn.end <= dialogue.waveform.end for turn in turns)
    assert list(dict.fromkeys(turn.speaker for turn in answer.turns)) == ["1", "2"]


def test_exclusive_turns_do_not_overlap_and_lie_in_ordinary_ones(answer):
    """At most one speaker at any time, who speaks in the ordinary turns too."""
    assert all(
        left.end <= right.start for left, right in itertools.pairwise(answer.exclusive_turns)
    )
    for turn in answer.exclusive_turns:
        said = sum(turn.overlap(other) for other in answer.turns if other.speaker == turn.speaker)
        assert said == pytest.approx(turn.duration, abs=0.02)


def test_times_are_those_of_the_whole_recording(diarizer):
    """A waveform that begins at one minute has its turns one minute later."""
    waveform = golden.load("sentences").waveform
    at_zero, later = (diarize(diarizer, replace(waveform, start=start)) for start in (0.0, 60.0))
    moved = [(turn.start - 60, turn.end - 60) for turn in later.turns]
    assert np.allclose(moved, [(turn.start, turn.end) for turn in at_zero.turns])
    assert moved


@pytest.mark.parametrize("samples", [0, 1, 400, SAMPLE_RATE // 2, 12 * SAMPLE_RATE])
def test_silence_of_any_length_has_no_turns(diarizer, samples):
    """It may be empty, shorter than a frame, shorter than a window, or longer."""
    answer = diarize(
        diarizer, Waveform(np.zeros(samples, np.float32), 5.0), SpeakerCount(at_least=2)
    )
    assert (answer.turns, answer.exclusive_turns, answer.num_speakers) == ((), (), 0)


@pytest.mark.parametrize("length_s", [0.3, 0.7, 1.9, 3.0])
@pytest.mark.parametrize("sound", ["voice", "tone"])
def test_nobody_is_in_the_turns_who_is_not_counted(diarizer, sound, length_s):
    """The number, the ordinary and the exclusive turns of a short recording have one source."""
    count = int(length_s * SAMPLE_RATE)
    samples = {
        "voice": golden.load("sentences").waveform.samples[:count],
        "tone": 0.3 * np.sin(np.arange(count, dtype=np.float32) * 0.17).astype(np.float32),
    }[sound]
    answer = diarize(diarizer, Waveform(samples, 0.0))
    speakers = {turn.speaker for turn in answer.turns}
    assert speakers == {turn.speaker for turn in answer.exclusive_turns}
    assert speakers == set(map(str, range(1, answer.num_speakers + 1)))


def test_labels_of_nobody_are_left_out():
    """They have no exclusive turn; the others are numbered without them."""
    ordinary = [Turn(0, 1, "A"), Turn(0, 2, "ghost"), Turn(1, 2, "B")]
    named = _named(ordinary, [Turn(0, 1, "A"), Turn(1, 2, "B")])
    assert named.turns == named.exclusive_turns == (Turn(0, 1, "1"), Turn(1, 2, "2"))
    assert named.num_speakers == 2
    assert _named(ordinary, []).num_speakers == 3


def test_short_piece_of_speech_has_one_speaker(diarizer):
    """Half a second is shorter than any window of the models."""
    samples = golden.load("sentences").waveform.samples[int(1.5 * SAMPLE_RATE) : 2 * SAMPLE_RATE]
    assert diarize(diarizer, Waveform(samples, 1.5)).num_speakers == 1


def test_samples_are_left_as_they_are(diarizer):
    """They are not copied, so they must not be changed."""
    waveform = golden.load("sentences").waveform
    before = waveform.samples.copy()
    diarize(diarizer, waveform)
    assert np.array_equal(waveform.samples, before)


def test_progress_rises_to_one(diarizer, exchange):
    """It never falls, also moves within a step, and ends at 1."""
    fractions: list[float] = []
    diarize(diarizer, exchange, progress=fractions.append)
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert len({fraction for fraction in fractions if 0 < fraction < 1}) >= 4


def test_cancel_ends_the_run_at_the_next_batch(diarizer, exchange, brief_answer):
    """The embeddings are never reached, and the pipeline works for the next job."""
    fractions: list[float] = []
    with pytest.raises(Cancelled):
        diarize(
            diarizer, exchange, progress=fractions.append, cancelled=lambda: len(fractions) >= 2
        )
    assert max(fractions) <= 0.25
    assert diarize(diarizer, exchange) == brief_answer


def test_cancelled_job_does_not_wait_for_the_job_before_it(diarizer):
    """Whether it looks for speakers or listens to a voice, it ends while the other is held up."""
    waveform = golden.load("sentences").waveform
    begun, goes, waits = Event(), Event(), []

    def hold(_: float) -> None:
        if not begun.is_set():
            begun.set()
            waits.append(goes.wait(20))

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(diarize, diarizer, waveform, progress=hold)
        assert begun.wait(20)
        with pytest.raises(Cancelled):
            diarize(diarizer, waveform, cancelled=lambda: True)
        with pytest.raises(Cancelled):
            diarizer.voice(waveform, cancelled=lambda: True)
        goes.set()
        assert first.result().turns
    assert waits == [True]


def test_two_jobs_at_once_get_their_own_answers(diarizer, exchange, brief_answer):
    """Jobs of several threads take turns on the pipeline's thread."""
    sentences = golden.load("sentences").waveform
    alone = diarize(diarizer, sentences)
    with ThreadPoolExecutor(3) as pool:
        answers = list(
            pool.map(lambda waveform: diarize(diarizer, waveform), (sentences, exchange, sentences))
        )
    assert answers == [alone, brief_answer, alone]


class Hungry(PyannoteDiarizer):
    """A pipeline for which torch's own allocator fails while a batch is larger than `capacity`."""

    capacity = 4

    def _run(self, *arguments):
        if self._sizes.embedding > self.capacity:
            torch.empty(1 << 50)
        return super()._run(*arguments)


def test_out_of_memory_halves_the_batches_until_they_fit(exchange, brief_answer):
    """The answer is the same, and the next job starts with the batches that fitted."""
    hungry = Hungry(
        find_diarization_model("embedded"), device="cpu", batch_sizes=BatchSizes(32, 32)
    )
    found = diarize(hungry, exchange)
    assert [turn.speaker for turn in found.turns] == [turn.speaker for turn in brief_answer.turns]
    assert hungry._sizes.embedding == 4


def test_out_of_memory_on_the_smallest_batch_is_an_error(diarizer):
    """Batches of one do not fit either, and the error says so."""
    hungry = Hungry(find_diarization_model("embedded"), device="cpu")
    hungry.capacity = 0
    with pytest.raises(OutOfMemory, match="smallest batch"):
        diarize(hungry, golden.load("sentences").waveform)
    assert hungry._sizes.segmentation == hungry._sizes.embedding == 1


def test_failing_gpu_replaces_the_worker(diarizer):
    """After a CUDA error, raised by the watcher inside the run, the process takes no more jobs."""

    def fault(_: float) -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(ModelFailed, match="the GPU failed") as caught:
        diarize(diarizer, golden.load("sentences").waveform, progress=fault)
    assert caught.value.refresh_worker
