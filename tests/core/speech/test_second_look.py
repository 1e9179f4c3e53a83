"""Speech without words, heard again: by the embedded model, which is made to forget, and by models
that are told what they hear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from bench.blanking import Blank, Blanking
from core.domain.request import Decoding
from core.domain.timeline import Span, Transcription, Word
from core.media.audio import SAMPLE_RATE, Samples
from core.media.cutting import Utterance, utterances
from core.modelstore import find_speech_model
from core.speech.engine import Abilities, Recognition
from core.speech.parakeet import ParakeetModel
from core.speech.second_look import MOST_OF_SHORT_S, MOST_SHARE
from core.speech.sound import speech
from core.speech.transcriber import BatchTranscriber
from core.transcript.assembly import assemble
from tests import golden


def hear(transcriber: BatchTranscriber, pieces: Sequence[Utterance]) -> Transcription:
    """Transcribe; nobody watches."""
    return transcriber.transcribe(
        pieces,
        decoding=transcriber.prepared(Decoding()),
        progress=lambda _: None,
        cancelled=lambda: False,
    )


# --- the embedded model ---


@pytest.fixture(scope="module")
def model() -> Blanking:
    """The embedded model, which can be made to forget."""
    return Blanking(ParakeetModel(find_speech_model("embedded").path, device="cpu"))


@pytest.fixture(scope="module")
def transcriber(model: Blanking) -> BatchTranscriber:
    """The queue around it."""
    return BatchTranscriber(lambda: model, name="embedded")


@pytest.fixture(scope="module")
def dialogue() -> Samples:
    """Twice the dialogue, so that there is a seam."""
    return np.tile(golden.load("dialogue").waveform.samples, 2)


@pytest.fixture(scope="module")
def whole(model: Blanking, transcriber: BatchTranscriber, dialogue: Samples) -> Transcription:
    """All that the model hears in it."""
    return hear(transcriber, model.cut(dialogue))


def letters(words: Sequence[Word]) -> list[str]:
    """The words without their marks."""
    return [word.letters for word in words]


def test_clean_speech_is_heard_once(model, transcriber, whole, dialogue):
    """Nothing is decoded again, nothing lacks a word."""
    hear(transcriber, model.cut(dialogue))
    assert model.again_s == 0.0
    told = assemble(whole, None, duration_s=60.0)
    assert (told.gaps, told.repaired) == ((), 0)
    assert told.coverage > 0.97


@pytest.mark.parametrize("is_stubborn", [False, True])
@pytest.mark.parametrize(
    "start", [0.0, 6.4, "seam"], ids=["at the start", "in the middle", "across a seam"]
)
def test_words_that_were_dropped_come_back(model, transcriber, whole, dialogue, start, is_stubborn):
    """Four seconds of them, by the first attempt or by the second; none is there twice, and those
    around stay as they are.
    """
    cut = model.cut(dialogue)
    begin = cut[1].start - 2.0 if start == "seam" else start
    blank = Blank(Span(begin, begin + 4.0), is_stubborn)
    found = hear(transcriber, model.cut(dialogue, [blank]))
    kept = [word for word in whole.words if not blank.holds(word)]
    lost = [word for word in whole.words if blank.holds(word)]
    assert len(lost) >= 5
    assert set(kept) <= set(found.words)
    again = [word for word in found.words if word not in set(kept)]
    assert len(lost) - 1 <= len(again) <= len(lost) + 1
    assert len(set(letters(lost)) & set(letters(again))) > 0.6 * len(set(letters(lost)))
    assert [word.start for word in found.words] == sorted(word.start for word in found.words)
    assert "".join(one.text for one in found.characters) == "".join(w.text for w in found.words)
    told = assemble(found, None, duration_s=60.0)
    assert told.gaps == ()
    assert told.repaired >= 1


def test_words_that_stay_lost_are_told(model, transcriber, dialogue, monkeypatch):
    """With their times, after two attempts."""
    blank = Blank(Span(6.4, 10.4), is_stubborn=True)
    tries: list[Blank] = []
    monkeypatch.setattr(model, "_lost", lambda *one: not tries.append(one[0]) and True)
    found = hear(transcriber, model.cut(dialogue, [blank]))
    told = assemble(found, None, duration_s=60.0)
    assert len(tries) == 2
    (gap,) = told.gaps
    assert 6.0 < gap.start < 7.5
    assert 9.5 < gap.end < 11.0
    assert told.coverage < 0.95
    assert f"between {gap.start:.1f} s and {gap.end:.1f} s" in told.told[-1]


# --- models that are told ---


class Recorder:
    """A model that hears nothing at first, and what it is told when it hears a piece again."""

    device = "cpu"
    abilities = Abilities()

    def __init__(self, first: Recognition, again: Recognition, window_s: float = 0.0) -> None:
        self.window_s = window_s
        self.heard_s: list[float] = []
        self._whole_s = 0.0
        self._first, self._again = first, again

    def recognise(self, arrays: Sequence[Samples], decoding: Decoding) -> list[Recognition]:
        """Tell pieces from utterances by their length."""
        found = []
        for samples in arrays:
            duration_s = len(samples) / SAMPLE_RATE
            is_whole = not self.heard_s or duration_s == self._whole_s
            self._whole_s = max(self._whole_s, duration_s)
            self.heard_s.append(duration_s)
            found.append(self._first if is_whole else self._again)
        return found


def spoken(*stretches: tuple[float, float]) -> Samples:
    """Syllables of noise in faint noise, in these seconds of a recording; 20 s long."""
    noise = np.random.default_rng(0).standard_normal(20 * SAMPLE_RATE)
    at = np.arange(len(noise)) / SAMPLE_RATE
    loud = np.full(len(noise), 1e-3)
    for start, end in stretches:
        loud[(at >= start) & (at < end)] = 0.1
    return (noise * loud).astype(np.float32)


def test_speech_is_what_is_louder_than_the_noise_between():
    """By less than 9 dB it is noise; clicks are none; silence and nothing have none."""
    (one, other) = speech(spoken((2.0, 4.0), (5.0, 5.05), (10.0, 11.0)))
    assert (one.start, one.end) == pytest.approx((2.0, 4.0), abs=0.02)
    assert (other.start, other.end) == pytest.approx((10.0, 11.0), abs=0.02)
    steady = np.random.default_rng(0).standard_normal(5 * SAMPLE_RATE).astype(np.float32)
    assert speech(steady) == speech(0 * steady) == speech(steady[:0]) == []


@pytest.mark.parametrize(("confidence", "is_taken"), [(0.9, True), (0.3, False), (None, True)])
def test_words_are_believed_if_they_are_sure(confidence, is_taken):
    """What a model writes for noise has little confidence; one that gives none is believed."""
    word = Word(0.5, 1.5, "something", confidence)
    model = Recorder(Recognition(), Recognition((word,), ((),)))
    transcriber = BatchTranscriber(lambda: model, name="some/model")
    found = hear(transcriber, [Utterance(spoken((2.0, 4.0)), 0.0)])
    assert bool(found.words) is is_taken
    assert bool(found.found_again) is is_taken


@pytest.mark.parametrize(
    ("window_s", "length_s", "looks"), [(0, 0.5, 1), (0, 0.7, 3), (30, 1.4, 1), (30, 1.6, 3)]
)
def test_short_stretches_are_not_heard_again(window_s, length_s, looks):
    """Less so where a look costs as much as half a minute; longer ones twice, and no more."""
    model = Recorder(Recognition(), Recognition(), window_s)
    transcriber = BatchTranscriber(lambda: model, name="some/model", batch_s=1.0)
    hear(transcriber, [Utterance(spoken((2.0, 2.0 + length_s)), 0.0)])
    assert len(model.heard_s) == looks


def test_music_is_not_heard_again_without_end():
    """Of ten minutes in which sound comes and goes, a fifth; of the shortest recording, half a
    minute.
    """
    piece = spoken((1.0, 9.0), (11.0, 19.0))
    model = Recorder(Recognition(), Recognition())
    transcriber = BatchTranscriber(lambda: model, name="some/model")
    whole_s = 600.0
    hear(transcriber, list(utterances([np.tile(piece, 30)])))
    again_s = sum(model.heard_s) - whole_s
    assert again_s <= MOST_SHARE * whole_s + 60
    assert again_s > 0.5 * MOST_SHARE * whole_s
    model.heard_s.clear()
    hear(transcriber, [Utterance(piece, 0.0)])
    assert sum(model.heard_s) - 20.0 <= MOST_OF_SHORT_S


def test_two_gaps_without_a_word_between_get_their_own_words_in_order():
    """A long pause parts them, and neither has the other's words."""
    again = Recognition((Word(0.4, 1.4, "something", 0.9),), ((),))
    model = Recorder(Recognition(), again)
    transcriber = BatchTranscriber(lambda: model, name="some/model")
    found = hear(transcriber, [Utterance(spoken((2.0, 4.0), (8.0, 10.0)), 100.0)])
    assert [word.start for word in found.words] == pytest.approx([102.1, 108.1], abs=0.02)
    assert [round(one.start) for one in found.speech] == [102, 108]


def test_second_look_is_in_the_batches_of_all_jobs():
    """Both gaps of one recording are one batch."""
    sizes: list[int] = []

    class Counting(Recorder):
        def recognise(self, arrays: Sequence[Samples], decoding: Decoding) -> list[Recognition]:
            sizes.append(len(arrays))
            return super().recognise(arrays, decoding)

    model = Counting(Recognition(), Recognition())
    transcriber = BatchTranscriber(lambda: model, name="some/model", batch_s=100.0)
    hear(transcriber, [Utterance(spoken((2.0, 4.0), (8.0, 10.0)), 0.0)])
    assert sizes == [1, 2, 2]


def test_utterance_that_is_a_gap_from_end_to_end_is_heard_from_other_places_on():
    """The same sound would lose the same words: each look is of another length."""
    model = Recorder(Recognition(), Recognition())
    transcriber = BatchTranscriber(lambda: model, name="some/model")
    sound = spoken((0.1, 2.5), (3.3, 6.0), (7.0, 9.9))[: 10 * SAMPLE_RATE]
    hear(transcriber, [Utterance(sound, 0.0)])
    assert len(set(model.heard_s)) == 3
    assert min(model.heard_s) > 9.8


@pytest.mark.parametrize(("confidence", "is_taken"), [(0.3, True), (0.1, False)])
def test_among_words_that_are_sure_less_is_believed(confidence, is_taken):
    """Where there is speech for sure, it may be hard to understand."""
    first = Recognition((Word(2.0, 2.5, "before", 0.9),), ((),))
    again = Recognition((Word(1.0, 2.0, "lost", confidence),), ((),))
    transcriber = BatchTranscriber(lambda: Recorder(first, again), name="some/model")
    found = hear(transcriber, [Utterance(spoken((2.0, 2.5), (3.0, 5.0)), 0.0)])
    assert bool(found.found_again) is is_taken


def test_utterance_in_which_the_model_heard_nothing_for_sure_is_not_heard_again():
    """It made words of noise; in the gaps between them it would make more."""
    first = tuple(Word(at, at + 0.5, "something", 0.3) for at in (1.0, 1.5, 8.0))
    model = Recorder(Recognition(first, ((),) * 3), Recognition())
    transcriber = BatchTranscriber(lambda: model, name="some/model")
    hear(transcriber, [Utterance(spoken((1.0, 2.0), (3.0, 5.0), (8.0, 8.5)), 0.0)])
    assert model.heard_s == [20.0]


def test_words_around_a_gap_are_untouched():
    """What was heard at first stays, to the last digit; the new words come between."""
    first = (Word(1.0, 2.0, "before", 0.912345), Word(6.0, 7.0, "after", 0.2))
    again = Recognition((Word(1.0, 2.0, "lost", 0.9),), ((),))
    model = Recorder(Recognition(first, ((), ())), again)
    transcriber = BatchTranscriber(lambda: model, name="some/model")
    found = hear(transcriber, [Utterance(spoken((1.0, 2.0), (3.0, 5.0), (6.0, 7.0)), 0.0)])
    assert (found.words[0], found.words[2]) == first
    assert replace(found.words[1], start=0, end=0) == Word(0, 0, "lost", 0.9)
