"""Make the golden recordings anew.

    python -m tests.golden.make (needs what training/voices.py needs)

The tests' expectations hold for the recordings that are committed; after making them anew, run the
tests and look.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from training.conversations import Conversations
from training.dialogues import (
    Dialogue,
    SpeakerTurn,
    SpokenWord,
    make_dialogue,
    speech_spans,
    write_dialogue,
)
from training.voices import SAMPLE_RATE, Voice, synthesise

FOLDER = Path(__file__).parent
DIALOGUE_SEED = 1504
"""Above what is trained, tuned or measured on."""


def sentences() -> Dialogue:
    """Two sentences of one clean voice between silences of one second."""
    conversation = Conversations(random.Random("golden"), held_out=True).draw(2)
    utterance = synthesise(conversation[0].text, Voice("flite", "slt", 1.0, 0.95, 1.0))
    silence = np.zeros(SAMPLE_RATE, np.float32)
    words = tuple(
        SpokenWord(word.text, round(word.start + 1, 3), round(word.end + 1, 3), "A")
        for word in utterance.words
    )
    turns = tuple(SpeakerTurn(start, end, "A") for start, end in speech_spans(words))
    return Dialogue(np.concatenate((silence, utterance.samples, silence)), words, turns)


def main() -> None:
    """Write both recordings with their references."""
    write_dialogue(sentences(), FOLDER / "sentences", "flac")
    dialogue = make_dialogue(DIALOGUE_SEED, speakers=2, duration_s=24, kind="natural")
    write_dialogue(dialogue, FOLDER / "dialogue")
    for rttm in FOLDER.glob("*.rttm"):
        rttm.unlink()


if __name__ == "__main__":
    main()
