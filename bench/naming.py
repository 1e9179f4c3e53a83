"""Names in conversations, for `bench.voices`: the worker's own diarization, from end to end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.company import MANNER, Company, Speaker
from core.domain.request import SpeakerCount
from core.domain.timeline import Diarization, Voice
from core.media.audio import SAMPLE_RATE, Samples, Waveform
from core.speakers.identify import KnownVoice, identify
from core.speakers.pyannote import PyannoteDiarizer
from training.dialogues import Dialogue, converse

CONVERSATION_S = 45.0
_LEAST_S = 2.0
"""A name that somebody has for less is not theirs."""


@dataclass(frozen=True, slots=True)
class _Two:
    """Who talks, A known and B a stranger, and whose names the worker is given."""

    known: int
    stranger: int
    names: tuple[int, ...]


def conversations(
    diarizer: PyannoteDiarizer,
    samples: Mapping[int, Voice],
    company: Company,
    count: int,
    most_names: int,
) -> str:
    """Return what the worker makes of conversations of somebody known and a stranger."""
    chance = np.random.default_rng([company.seed, 7])
    told: Counter[str] = Counter()
    half = [one for one in company.half(1) if one in samples]
    for number in range(count):
        two = _two(half, company, most_names, chance)
        dialogue = _talk(company, two, number)
        names = [KnownVoice(company.people[one].name, samples[one]) for one in two.names]
        named = identify(_diarized(diarizer, dialogue), names, diarizer.matching)
        told.update(_judged(named, dialogue, company.people[two.known].name))
    matching = diarizer.matching
    return (
        f"{count} conversations of {CONVERSATION_S:.0f} s, threshold {matching.threshold:.2f}, "
        f"margin {matching.margin:.2f}: the known person got the right name in {told['right']}, a "
        f"wrong one in {told['wrong']}; the stranger got somebody else's name in "
        f"{told['accepted']}, and the known person's in {told['shared']}, where the diarization "
        "takes some words of both for one person's"
    )


def _two(
    half: Sequence[int], company: Company, most_names: int, chance: np.random.Generator
) -> _Two:
    while True:
        known, stranger = chance.choice(half, 2, replace=False).tolist()
        differ = company.differ
        others = [one for one in half if differ[known, one] and differ[stranger, one]]
        if differ[known, stranger]:
            most = min(most_names - 1, len(others))
            return _Two(known, stranger, (known, *chance.choice(others, most, replace=False)))


def _talk(company: Company, two: _Two, number: int) -> Dialogue:
    """Let both talk in turns of some seconds."""
    speakers = [Speaker(_turns(company.people[one].tests)) for one in (two.known, two.stranger)]
    chance = np.random.default_rng([company.seed, 8, number])
    return converse(speakers, CONVERSATION_S, MANNER, chance)


def _turns(pieces: Sequence[Samples]) -> list[Samples]:
    """Join pieces to turns of at least 3 s."""
    turns, held = [], np.empty(0, np.float32)
    for piece in pieces:
        held = np.concatenate([held, piece, np.zeros(SAMPLE_RATE // 5, np.float32)])
        if len(held) >= 3 * SAMPLE_RATE:
            turns.append(held)
            held = np.empty(0, np.float32)
    return turns or [held]


def _diarized(diarizer: PyannoteDiarizer, dialogue: Dialogue) -> Diarization:
    return diarizer.diarize(
        Waveform(dialogue.samples, 0.0),
        speakers=SpeakerCount(),
        progress=lambda _: None,
        cancelled=lambda: False,
        voices=True,
    )


def _judged(named: Diarization, dialogue: Dialogue, name: str) -> list[str]:
    """Say what became of both."""
    of_known, of_stranger = (_names(named, dialogue, who) for who in ("A", "B"))
    said = {
        "right": name in of_known,
        "wrong": bool(of_known - {name}),
        "accepted": bool(of_stranger - {name}),
        "shared": name in of_stranger,
    }
    return [what for what, is_so in said.items() if is_so]


def _names(named: Diarization, dialogue: Dialogue, who: str) -> set[str]:
    """Return the names, without numbers, that somebody has for long enough."""
    shares: Counter[str] = Counter()
    for turn in named.turns:
        for true in dialogue.turns:
            if true.speaker == who and not turn.speaker.isdigit():
                met_s = min(turn.end, true.end) - max(turn.start, true.start)
                shares[turn.speaker] += max(0.0, met_s)  # type: ignore[assignment]
    return {name for name, met_s in shares.items() if met_s >= _LEAST_S}
