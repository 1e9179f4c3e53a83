"""Full windows: silence is left out, nothing else, and every time is that of the file."""

from __future__ import annotations

import numpy as np
import pytest

from core.domain.request import Decoding
from core.domain.timeline import Character, Word
from core.media.audio import SAMPLE_RATE, Samples
from core.media.cutting import OVERLAP_S, Skip, Utterance
from core.speech.engine import Abilities, Recognition
from core.speech.everything import Everything
from core.speech.second_look import Found
from core.speech.sound import FRAME_S, frames, levels
from core.speech.transcriber import BatchTranscriber
from core.speech.windows import windows


def sound(*parts: float, quiet: float = 0.0) -> Samples:
    """Noise and silence in turn, of these lengths in seconds."""
    chosen = np.random.default_rng(0)
    pieces = [
        (quiet if index % 2 else 0.1) * chosen.standard_normal(round(seconds * SAMPLE_RATE))
        for index, seconds in enumerate(parts)
    ]
    return np.concatenate(pieces).astype(np.float32)


def numbered(length_s: float, *loud: tuple[float, float]) -> Samples:
    """Silence in which these stretches are loud, and every sample tells its place."""
    ramp = np.arange(1, round(length_s * SAMPLE_RATE) + 1, dtype=np.float32) / 2**25
    is_loud = np.zeros(len(ramp), bool)
    for start, end in loud:
        is_loud[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] = True
    return np.where(is_loud, ramp + 0.5, ramp * 1e-6).astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
def test_every_sample_that_is_kept_is_where_it_was(seed: int) -> None:
    """To the sample, in windows of at most 30 s with nothing between them; what was left out is
    silence.
    """
    lengths = np.cumsum(np.random.default_rng(seed).exponential(8.0, size=8)).tolist()
    samples = numbered(lengths[-1], *zip(lengths[:-1:2], lengths[1::2], strict=True))
    end = 100.0
    for one in windows([samples], start_s=100.0):
        assert 0 < one.duration <= 30
        assert end - OVERLAP_S <= one.start <= end + 1e-6
        indices = np.arange(0, len(one.samples), 4999)
        times = np.array([one.at(index / SAMPLE_RATE) for index in indices.tolist()])
        places = np.rint((times - 100.0) * SAMPLE_RATE).astype(int)
        assert np.array_equal(samples[places], one.samples[indices])
        for skip in one.skips:
            first = round((one.at(skip.at_s) - 100.0) * SAMPLE_RATE)
            assert samples[first : first + round(skip.length_s * SAMPLE_RATE)].max() < 0.4
        end = one.end
    assert end == pytest.approx(100.0 + len(samples) / SAMPLE_RATE)


@pytest.mark.parametrize("block_s", [0.7, 13.0, 90.0])
def test_windows_do_not_depend_on_the_blocks(block_s: float) -> None:
    """Nor on how much is read at a time."""
    samples = sound(7, 3, 20, 0.5, 30, 8, 2, 0.2, 60, 12, 5)
    size = round(block_s * SAMPLE_RATE)
    blocks = [samples[first : first + size] for first in range(0, len(samples), size)]
    whole, cut = list(windows([samples])), list(windows(blocks, piece_s=30.0))
    assert [(one.start, one.skips) for one in cut] == [(one.start, one.skips) for one in whole]
    assert all(map(np.array_equal, (o.samples for o in cut), (o.samples for o in whole)))


def test_long_silence_becomes_a_pause() -> None:
    """Ten seconds of nothing leave what is between two sentences; half a second stays."""
    (one,) = windows([sound(5, 10, 5, 0.5, 5)])
    assert one.duration == pytest.approx(16.1, abs=0.03)
    assert one.span.end == pytest.approx(25.5)
    assert [skip.at_s for skip in one.skips] == pytest.approx([5.3], abs=0.02)


def test_quiet_people_are_no_silence() -> None:
    """Somebody 35 dB below a loud person is kept, and so is the room of a quiet recording."""
    people = sound(5, 10, 5, quiet=0.1 * 10 ** (-35 / 20))
    room = sound(20, quiet=0.0) * 5e-3
    for samples in (people, room):
        (one,) = windows([samples])
        assert np.array_equal(one.samples, samples)


def test_half_of_a_call_takes_half_of_the_windows() -> None:
    """One channel, on which nobody speaks while the other does."""
    turns = sound(*[6.0, 7.0] * 20)
    assert len(turns) / SAMPLE_RATE == 260
    assert len(list(windows([turns]))) <= 6


def test_nearly_all_of_a_window_is_used() -> None:
    """Speech that pauses every few seconds is cut as late as can be."""
    *most, _ = windows([sound(*[3.1, 0.4] * 80)])
    assert min(one.duration for one in most) > 26


class Beeps:
    """A model of windows that hears a word wherever it becomes loud."""

    device = "cpu"
    window_s = 30.0
    abilities = Abilities()

    def recognise(self, arrays: list[Samples], decoding: Decoding) -> list[Recognition]:
        """A word of a tenth of a second for each."""
        return [Recognition(words, ((),) * len(words)) for words in map(self._words, arrays)]

    def _words(self, samples: Samples) -> tuple[Word, ...]:
        loud = (levels(samples) > -40).astype(int)
        starts = np.flatnonzero(np.diff(loud, prepend=0) > 0) * FRAME_S
        return tuple(Word(start, start + 0.1, f"{frames(start, start).start}") for start in starts)


def test_words_have_the_times_of_the_file() -> None:
    """Behind any number of silences that the model did not hear; so does the speech without one,
    and the progress counts what was skipped.
    """
    transcriber = BatchTranscriber(Beeps, name="beeps")
    told: list[float] = []
    samples = sound(2, 9, 2, 40, 2, 3, 2, 70, 2)
    found = transcriber.transcribe(
        list(transcriber.cut([samples], start_s=100.0)),
        decoding=Decoding("en"),
        progress=told.append,
        cancelled=lambda: False,
    )
    assert [word.start for word in found.words] == pytest.approx(
        [100, 111, 153, 158, 230], abs=0.02
    )
    assert told[0] == pytest.approx(1.0, abs=0.01)
    assert isinstance(next(transcriber.cut([samples])), Utterance)


def test_no_word_lasts_over_silence_that_was_left_out() -> None:
    """One that begins too soon keeps its length, and its characters stay in it."""
    word = Word(0.98, 1.36, "So")
    letters = (Character(0.98, 1.1, "S"), Character(1.1, 1.36, "o"))
    utterance = Utterance(sound(3.0), 5.0, (Skip(1.0, 60.0),))
    everything = Everything()
    everything.add([Found(utterance, Recognition((word,), (letters,)), ())])
    found = everything.joined("en")
    times = [(one.start, one.end) for one in (*found.words, *found.characters)]
    assert times == [pytest.approx(pair) for pair in [(65.98, 66.36), (65.98, 66.1), (66.1, 66.36)]]
