"""Damaged clips: a few of the ten thousand of bench/attacks.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.attacks import DAMAGES, Outcome, attack, clips, seeds


def test_a_damaged_clip_is_read_or_refused_with_a_code(tmp_path: Path) -> None:
    """In every format, in at most 5 s; at least some of each happen."""
    result = attack(tmp_path, 36, seed=7)
    assert result.wrong == []
    assert result.ended["read"] >= 5
    assert result.ended["damaged_audio"] + result.ended["unsupported_audio"] >= 3


@pytest.mark.parametrize(
    ("ended", "took_s", "fault"),
    [("KeyError", 0.1, "ended with KeyError"), ("read", 6.0, "took 6.0 s")],
)
def test_a_clip_that_breaks_a_promise_is_named(ended: str, took_s: float, fault: str) -> None:
    """The attack above can fail."""
    result = Outcome()
    assert not result.add("00001-bits.mp3", ended, took_s, 1.0)
    assert result.wrong == [f"00001-bits.mp3: {fault}"]


def test_the_clips_of_a_seed_are_always_the_same(tmp_path: Path) -> None:
    """So that one that breaks a promise can be made again; each kind of damage is among them."""
    known = seeds(tmp_path)
    made = list(clips(known, 200, seed=7))
    assert made == list(clips(known, 200, seed=7))
    assert all(any(damage.__name__ in name for name, _ in made) for damage in DAMAGES)
    assert sum(clip not in known.values() for _, clip in made) > 190
