"""From segments to paragraphs: what one speaker says in one go, some sentences each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from core.domain.timeline import Paragraph, Segment
from core.transcript.sentences import LONG_PAUSE_S, ends_sentence
from core.transcript.word_spans import spoken_end

SENTENCES = 4
"""About so many make a paragraph; what one speaker says in one go is divided evenly."""
PARAGRAPH_PAUSE_S = 2 * LONG_PAUSE_S
"""A pause between two thoughts; one half as long is between two sentences or within one."""


def split_paragraphs(segments: Sequence[Segment]) -> tuple[Paragraph, ...]:
    """Group segments, in their order, at changes of speaker, at pauses, and every few sentences."""
    return tuple(
        Paragraph(
            segments[at.start].start,
            max(segments[index].end for index in at),
            segments=tuple(segments[at.start : at.stop]),
            first=at.start,
        )
        for run in _runs(segments)
        for at in _divided(segments, run)
    )


def _runs(segments: Sequence[Segment]) -> Iterator[range]:
    """Yield the indices of what each speaker says in one go."""
    first = 0
    for after, (segment, following) in enumerate(pairwise(segments), start=1):
        pause_s = following.start - max(map(spoken_end, segment.words), default=segment.end)
        if segment.speaker != following.speaker or pause_s >= PARAGRAPH_PAUSE_S:
            yield range(first, after)
            first = after
    if segments:
        yield range(first, len(segments))


def _divided(segments: Sequence[Segment], run: range) -> Iterator[range]:
    """Divide what is said in one go evenly, if possible where a sentence ends."""
    count = max(1, round(len(run) / SENTENCES))
    first = run.start
    for part in range(1, count):
        ideal = run.start + round(part * len(run) / count)
        near = (at for at in (ideal, ideal - 1, ideal + 1) if first < at < run.stop)
        cut = next((at for at in near if _ends_sentence(segments, at)), ideal)
        yield range(first, cut)
        first = cut
    yield range(first, run.stop)


def _ends_sentence(segments: Sequence[Segment], after: int) -> bool:
    return ends_sentence(segments[after - 1].words[-1], segments[after].words[0])
