"""Speakers that change where people do: between sentences, and at pauses.

The edges of a diarizer's turns are blurred by a word or two.
"""

from __future__ import annotations

from itertools import groupby

from core.transcript.labels import Labels
from core.transcript.sentences import BRIEF_PAUSE_S

BLURRED_WORDS = 2
"""The most words in a row that may change their speaker."""


def smooth(labels: Labels) -> None:
    """Give words at blurred edges of turns to the speaker of their sentence."""
    _absorb_strays(labels)
    _move_changes(labels)


def _absorb_strays(labels: Labels) -> None:
    """Give one or two words inside a sentence to the speaker on both their sides."""
    lengths = [len(list(run)) for _, run in groupby(labels.speakers)]
    first = 0
    for length in lengths:
        after = first + length
        if length <= BLURRED_WORDS and first > 0 and after < len(labels.words):
            around = labels.speakers[first - 1]
            if around is not None and _is_enclosed(labels, first, after):
                labels.give(range(first, after), around)
        first = after


def _is_enclosed(labels: Labels, first: int, after: int) -> bool:
    """Tell whether one speaker surrounds the words without a pause or the end of a sentence."""
    if labels.speakers[first] is None or labels.speakers[first - 1] != labels.speakers[after]:
        return False
    pause_s = max(labels.pause_s(first), labels.pause_s(after))
    return pause_s < BRIEF_PAUSE_S and not any(map(labels.parts, range(first, after + 1)))


def _move_changes(labels: Labels) -> None:
    """Move a change of speaker from inside a sentence to its edge, if that is a word or two away.

    Who says more of the sentence says all of it, if the other goes on beyond that edge.
    """
    for change in range(1, len(labels.words)):
        before, behind = labels.speakers[change - 1 : change + 1]
        if before == behind or before is None or behind is None or labels.parts(change):
            continue
        for count in range(1, BLURRED_WORDS + 1):
            if _ends(labels, change, count):
                labels.give(range(change, change + count), before)
                break
            if _begins(labels, change, count):
                labels.give(range(change - count, change), behind)
                break


def _ends(labels: Labels, change: int, count: int) -> bool:
    """Tell whether so many words behind a change end the sentence of more words before it."""
    first, edge = change - count - 1, change + count
    return (
        _is_run(labels, first, change)
        and _is_run(labels, change, edge + 1)
        and labels.parts(edge)
        and not any(map(labels.parts, range(first + 1, edge)))
        and all(labels.pause_s(index) < BRIEF_PAUSE_S for index in range(change, edge))
    )


def _begins(labels: Labels, change: int, count: int) -> bool:
    """Tell whether so many words before a change begin the sentence of more words behind it."""
    edge, after = change - count, change + count + 1
    return (
        _is_run(labels, edge - 1, change)
        and _is_run(labels, change, after)
        and labels.parts(edge)
        and not any(map(labels.parts, range(edge + 1, after)))
        and all(labels.pause_s(index) < BRIEF_PAUSE_S for index in range(edge + 1, change + 1))
    )


def _is_run(labels: Labels, first: int, after: int) -> bool:
    """Tell whether there are these words, and all are one speaker's."""
    is_whole = first >= 0 and after <= len(labels.words)
    return is_whole and len(set(labels.speakers[first:after])) == 1
