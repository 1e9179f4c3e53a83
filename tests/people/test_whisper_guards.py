"""What keeps Whisper models from writing what nobody said, with two real models each.

Without the guards base and tiny.en write "Thank you." or "I'm going to go to the bathroom." for
most of these sounds.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from core.domain.request import Decoding
from core.media.audio import SAMPLE_RATE
from core.speech.drafts import loop_start
from core.speech.engine import Recognition
from core.speech.whisper import WhisperModel
from tests.people import sounds

pytestmark = pytest.mark.people


@pytest.fixture(scope="module", params=["people_speech", "people_speech_en"])
def whisper(request: pytest.FixtureRequest) -> WhisperModel:
    """Whisper base, and tiny.en."""
    folder: Path = request.getfixturevalue(request.param)
    return WhisperModel(folder, device="cpu")


@pytest.fixture(scope="module")
def heard(whisper: WhisperModel) -> dict[str, Recognition]:
    """What a model hears in all sounds at once, the language left to it."""
    arrays = [sounds.samples(sound()) for sound in sounds.ALL]
    found = whisper.recognise(arrays, Decoding())
    return dict(zip((sound.__name__ for sound in sounds.ALL), found, strict=True))


def text(found: Recognition) -> str:
    """Return the words in lower case, without punctuation."""
    return " ".join(re.findall(r"[\w']+", " ".join(word.text for word in found.words).lower()))


@pytest.mark.parametrize("sound", sounds.WORDLESS, ids=lambda sound: sound.__name__)
def test_nothing_is_written_for_what_is_no_speech(heard, sound):
    """No sentence, no word, however long it lasts."""
    assert text(heard[sound.__name__]) == ""


@pytest.mark.parametrize("sound", sounds.ALL, ids=lambda sound: sound.__name__)
def test_nothing_is_said_in_a_loop_or_outside_of_its_time(heard, sound):
    """Of ten provoking sounds: the words are in order, inside, and none runs on and on."""
    found = heard[sound.__name__]
    duration_s = len(sounds.samples(sound())) / SAMPLE_RATE
    times = [time for word in found.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert all(0 <= time <= duration_s for time in times)
    assert loop_start([word.text for word in found.words]) is None


def test_digits_read_slowly_are_all_there_and_no_others(heard):
    """With time tokens tiny.en counts on; each is found where it was said."""
    found = heard["digits"]
    assert text(found) == "1 2 3 4 5 6 7 8 9 0"
    assert min(np.diff([word.start for word in found.words])) > 1.0


def test_word_cut_off_at_the_end_brings_no_sentence(heard):
    """What was said before it is there, and nothing is made of it but a word or two."""
    words = text(heard["clipped"]).split()
    assert words[:6] == ["the", "meeting", "begins", "at", "half", "past"]
    assert len(words) <= 9


@pytest.mark.parametrize("after", [sounds.silence, sounds.noise, sounds.music])
def test_no_text_is_written_past_the_end_of_the_speech(whisper, reading, after):
    """Twelve seconds of quiet, noise or music follow a sentence that somebody reads."""
    speech = sounds.read(reading)
    level = 0.1 if after is sounds.noise else 1.0
    sound = np.concatenate([speech, level * after(12.0)])
    (found,) = whisper.recognise([sounds.samples(sound)], Decoding())
    assert "dashwood" in text(found)
    assert text(found).endswith("in his power to do for them")
    assert found.words[-1].end <= len(speech) / SAMPLE_RATE + 0.5


def test_loop_is_decoded_until_it_is_none(people_speech_en):
    """Tiny.en writes "Bop bop bop…" for twenty-one syllables of laughter."""
    whisper = WhisperModel(people_speech_en, device="cpu")
    laughing = sounds.samples(np.concatenate([sounds.said("ha ha ha ha ha ha ha")] * 3))
    first = whisper._network.write(whisper._network.encode([laughing]), Decoding("en"))
    assert first[0].is_loop
    (found,) = whisper.recognise([laughing], Decoding())
    assert loop_start([word.text for word in found.words]) is None
