"""Words against the sound around them."""

from __future__ import annotations

import numpy as np
import pytest

from core.domain.timeline import Character, Word
from core.media.audio import SAMPLE_RATE, Samples
from core.speech.engine import Recognition
from core.speech.heard import heard_words
from core.speech.sound import has_sound


def sound(*stretches: tuple[float, float]) -> Samples:
    """Noise of these lengths, seconds, and levels, decibels of full scale."""
    noise = np.random.default_rng(0)
    parts = [
        noise.standard_normal(round(seconds * SAMPLE_RATE)) * 10 ** (level / 20)
        for seconds, level in stretches
    ]
    return np.concatenate(parts).astype(np.float32)


def left(samples: Samples, *words: Word) -> list[str]:
    """Return the texts of the words that may have been said."""
    found = Recognition(words, tuple((Character(w.start, w.end, w.text),) for w in words))
    return [word.text for word in heard_words(found, samples).words]


def test_word_in_silence_is_dropped():
    """Text past the end of the speech, in a pause or before it; soft speech stays."""
    samples = sound((1, -80), (2, -20), (2, -75), (1, -45))
    words = Word(0.2, 0.6, "Hm"), Word(1.2, 2.8, "yes"), Word(3.5, 4.2, "you"), Word(5.2, 5.8, "ah")
    assert left(samples, *words) == ["yes", "ah"]


def test_word_stretched_over_a_pause_is_trimmed():
    """It keeps its longest sound, without the end of the word before; so do its characters."""
    samples = sound((1, -20), (1.5, -70), (0.4, -20), (0.1, -70))
    characters = (Character(0.95, 1.9, "n"), Character(1.9, 3.0, "o"))
    found = heard_words(Recognition((Word(0.95, 3.0, "no"),), (characters,)), samples)
    assert found.words[0].start == pytest.approx(2.5, abs=0.02)
    assert found.words[0].end == pytest.approx(2.9, abs=0.02)
    assert found.characters[0][0].start >= found.words[0].start
    assert found.characters[0][1].end <= found.words[0].end


def test_first_word_of_a_sentence_is_not_stretched_over_a_pause_in_noise():
    """Nothing is quieter there; the end of such a word is right, its start is not."""
    words = Word(0.5, 1.0, "clubs."), Word(1.1, 3.5, "Go"), Word(3.5, 6.0, "on.")
    found = heard_words(Recognition(words, ((), (), ())), sound((6, -20)))
    assert [word.start for word in found.words] == [0.5, pytest.approx(2.875), 3.5]
    assert [word.end for word in found.words] == [1.0, 3.5, 6.0]


def test_word_of_ordinary_length_keeps_its_times():
    """The sound of a word may begin softly."""
    samples = sound((1, -70), (1, -20))
    found = heard_words(Recognition((Word(0.9, 1.25, "so"),), ((),)), samples)
    assert (found.words[0].start, found.words[0].end) == (0.9, 1.25)


def test_words_behind_a_loop_stay():
    """Somebody may laugh, or say no, so often; only the repetitions are dropped."""
    samples = sound((6, -20))
    texts = ["ha"] * 9 + ["that", "was", "good"]
    words = [Word(0.5 * at, 0.5 * at + 0.4, text) for at, text in enumerate(texts)]
    assert left(samples, *words) == ["ha", "that", "was", "good"]
    again = [*(["I", "do"] * 6), "I", "said"]
    words = [Word(0.4 * at, 0.4 * at + 0.3, text) for at, text in enumerate(again)]
    assert left(samples, *words) == ["I", "do", "I", "said"]


def test_run_of_words_that_take_no_time_is_dropped_at_the_end_and_where_it_repeats():
    """A few short words between others stay: the attention gives some no time."""
    samples = sound((5, -20))
    run = ["no", "no", "no", "but"]
    words = [
        Word(0.0, 0.5, "No."),
        *(Word(0.5, 0.52, text) for text in run),
        Word(0.6, 1.0, "I"),
        *(Word(1.0, 1.02, text) for text in ("do", "do")),
        Word(1.1, 1.5, "know."),
        *(Word(4.98, 5.0, text) for text in ("thanks", "so", "much", "for", "watching")),
    ]
    assert left(samples, *words) == ["No.", "but", "I", "do", "do", "know."]


@pytest.mark.parametrize(("level", "is_loud"), [(-60, True), (-90, False)])
def test_sound_is_louder_than_silence(level, is_loud):
    """Anything below -70 dB of full scale is silence, and so is nothing."""
    assert has_sound(sound((0.5, level))) is is_loud
    assert not has_sound(np.zeros(0, np.float32))
