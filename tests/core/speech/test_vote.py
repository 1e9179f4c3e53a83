"""The language of a recording, from what its utterances are heard as."""

from __future__ import annotations

import numpy as np

from core.domain.timeline import Word
from core.media.cutting import Utterance
from core.speech.engine import Guess, Recognition
from core.speech.vote import LanguageVote


def heard(language: str, probability: float, seconds: float) -> tuple[Utterance, Recognition]:
    """An utterance in whose words a language was heard."""
    words = (Word(0.0, seconds, "word"),) if seconds else ()
    utterance = Utterance(np.zeros(16_000, np.float32), 0.0)
    return utterance, Recognition(words, guess=Guess(language, probability))


def leader(*found: tuple[Utterance, Recognition]) -> str | None:
    """Return the language that wins."""
    vote = LanguageVote()
    vote.count(one for _, one in found)
    return vote.leader


def test_language_of_most_words_wins():
    """Not that of the first, of the most utterances or of those without words."""
    assert leader(heard("en", 0.9, 3), heard("de", 0.9, 20), heard("en", 0.9, 5)) == "de"
    assert leader(heard("nn", 0.6, 0), heard("nn", 0.6, 0), heard("fr", 0.5, 1)) == "fr"
    assert leader(heard("en", 0.4, 10), heard("de", 0.9, 6)) == "de"
    assert leader(heard("nn", 0.6, 0)) is leader() is None


def test_the_leader_is_as_sure_as_all_words_make_it():
    """What was heard as another language counts against it; without words there is no leader."""
    vote = LanguageVote()
    assert vote.confidence is None
    vote.count(one for _, one in (heard("de", 0.9, 6), heard("en", 0.8, 2)))
    assert (vote.leader, round(vote.confidence, 3)) == ("de", 0.675)
    timeless = LanguageVote()
    timeless.count([Recognition((Word(1.0, 1.0, "ja"),), guess=Guess("de", 0.9))])
    assert (timeless.leader, timeless.confidence) == ("de", 0.0)


def test_doubtful_utterance_is_outvoted_and_a_sure_one_is_not():
    """Somebody may speak another language; a short or uncertain stretch of it is a mistake."""
    german, dutch = heard("de", 0.95, 20), heard("nl", 0.5, 20)
    english, short = heard("en", 0.95, 20), heard("en", 0.95, 0.5)
    nothing = heard("nn", 0.5, 0)
    vote = LanguageVote()
    vote.count(one for _, one in (german, german, dutch, english, short, nothing))
    found = [german, dutch, english, short, nothing]
    assert vote.outvoted(found) == [dutch[0], short[0]]
