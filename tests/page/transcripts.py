"""Transcripts to show: the golden dialogue, a long one, and a hostile one."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.domain.timeline import Diarization, Transcript, Transcription, Turn, Word
from core.transcript.assembly import assemble
from core.wire.form import Form, TranscriptFormat
from core.wire.render import render

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / "tests" / "golden" / "dialogue.mp3"
UNCERTAIN = 0.3
HOSTILE = (
    *("</script>", "<script>window.hacked=1</script>", "<!--<script>", "-->", "]]>"),
    *("<img src=x onerror=window.hacked=1>", "\"quoted\" 'too'", "back\\slash", "${hacked}"),
    *("&lt;b&gt;", "a\u2028b\u2029c", "nul\x00l", "half\ud83d", "\x7f", "%data%", "%script%"),
    *("javascript:hacked", "__proto__", "ünïcödé", "日本語", "𝄞", "«Ja.»", "x" * 100, ""),
)


def page_of(transcript: Transcript) -> str:
    """The page, as an answer has it."""
    return str(render(transcript, Form(TranscriptFormat.HTML))["html"])


def golden() -> Transcript:
    """22 s of two people; every seventh word is uncertain."""
    return told(RECORDING.with_suffix(".json"))


def told(reference: Path) -> Transcript:
    """A dialogue as its reference has it; every seventh word is uncertain."""
    heard: dict[str, Any] = json.loads(reference.read_text(encoding="utf-8"))
    words = tuple(
        Word(word["start"], word["end"], word["text"], UNCERTAIN if at % 7 == 3 else 0.93)
        for at, word in enumerate(heard["words"])
    )
    turns = tuple(Turn(turn["start"], turn["end"], turn["speaker"]) for turn in heard["turns"])
    return _assembled(words, turns, heard["duration"])


def long(count: int = 30_000, *, speakers: int = 6, seed: int = 1) -> Transcript:
    """At least that many words in turns that sometimes overlap; 30,000 take about three hours."""
    chance = random.Random(seed)
    vocabulary = (ROOT / "training" / "vocabulary.txt").read_text(encoding="utf-8").split()
    words: list[Word] = []
    turns: list[Turn] = []
    now = 0.0
    while len(words) < count:
        started = now
        for text in _sentence(chance, vocabulary):
            end = now + chance.uniform(0.1, 0.5)
            words.append(Word(now, end, text, min(1.0, chance.betavariate(8, 1))))
            now = end + (chance.uniform(0.5, 5) if chance.random() < 0.02 else 0.02)
        lasting = chance.uniform(0, 3) if chance.random() < 0.3 else 0
        # The first are in order, so that the numbers of speakers are.
        name = len(turns) + 1 if len(turns) < speakers else chance.randint(1, speakers)
        turns.append(Turn(started, now + lasting, str(name)))
    return _assembled(tuple(words), tuple(turns), now + 5)


def _sentence(chance: random.Random, vocabulary: list[str]) -> list[str]:
    words = [chance.choice(vocabulary) for _ in range(chance.randint(3, 60))]
    for at in range(9, len(words), 11):
        words[at] += chance.choice(",;.?")
    return [words[0].capitalize(), *words[1:-1], words[-1] + "."]


def hostile() -> Transcript:
    """Words and names that would break a careless page."""
    words = tuple(Word(at, at + 0.5, text, 0.9) for at, text in enumerate(HOSTILE))
    turns = tuple(Turn(at, at + 1, text) for at, text in enumerate(HOSTILE) if text)
    return _assembled(words, turns, len(HOSTILE))


def unspaced() -> Transcript:
    """Words of a script that has no blanks between them, and some of one that has."""
    texts = [
        "今日",
        "は",
        "OK",
        "です",
        "。",
        "明日",
        "の",
        "会議",
        "は",
        "中止",
        "に",
        "なり",
        "まし",
        "た",
        "。",
    ]
    words = tuple(Word(at / 4, at / 4 + 0.2, text, 0.9) for at, text in enumerate(3 * texts))
    return _assembled(words, (Turn(0, 12, "1"),), 12)


def ranged() -> Transcript:
    """From 30 s on, with a first word that is too short for a cue."""
    words = (Word(30.2, 30.4, "Yes.", 0.9), Word(30.4, 33.0, "No.", 0.9))
    turns = (Turn(30, 30.4, "1"), Turn(30.4, 33, "2"))
    return replace(_assembled(words, turns, 40), start=30.0)


def split() -> Transcript:
    """Two channels: one tells a story, and the other answers in its midst."""
    story = "So I went to the office, and they told me that the papers had never arrived there."
    told = [(0.5 * at, text, "Channel 1") for at, text in enumerate(story.split())]
    told += [(4.1, "Mhm.", "Channel 2"), (7.1, "Really?", "Channel 2"), (14.0, "No.", "Channel 2")]
    words = tuple(Word(at, at + 0.4, text, 0.9, speaker) for at, text, speaker in sorted(told))
    return assemble(Transcription(words, language="en", is_split=True), None, duration_s=15)


def _assembled(words: tuple[Word, ...], turns: tuple[Turn, ...], duration_s: float) -> Transcript:
    return assemble(
        Transcription(words, language="en"), Diarization(turns, turns), duration_s=duration_s
    )
