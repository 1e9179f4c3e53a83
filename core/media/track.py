"""One sound track, or several together, as samples without holes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import zip_longest

import numpy as np

from core.errors import DamagedAudio
from core.media.channels import STRETCH, Channels, Mix, Mixer, likeness
from core.media.decoder.process import DAMAGED, Chunk, Decoder
from core.media.decoder.protocol import (
    OUTPUT_RATE,
    Asked,
    Event,
    Happening,
    Header,
    Layout,
    Refusal,
    Refused,
    Summary,
)
from core.media.pieces import Mono, blocks, silence

_SHORT = OUTPUT_RATE // 10
"""Silence at the end of a range that is not worth filling: the rounding of a resampler."""
_ABSURD = 64.0
"""36 dB beyond full scale."""
_ENVELOPE = OUTPUT_RATE // 20
_SAME = 0.95
"""Tracks whose loudness goes together like this hold the same sound."""


class TrackSound:
    """The track that a decoder decodes, from the start of the range on."""

    def __init__(self, decoder: Decoder, asked: Asked, mix: Mix | None = None) -> None:
        """Take a decoder that nobody has read yet; without a `mix`, mix everybody."""
        self.events: list[Event] = []
        self.summary: Summary | None = None
        self._decoder = decoder
        self._messages = decoder.messages()
        self._start = round(asked.start_s * OUTPUT_RATE)
        self._end_s = asked.end_s
        self._mix = mix or Mixer()

    def header(self) -> Header | Refusal:
        """Wait for the first message.

        Raise what `Decoder.messages` raises.
        """
        first = next(self._messages, None)
        if isinstance(first, Header | Refusal):
            return first
        raise DamagedAudio(DAMAGED)

    def pieces(self) -> Iterator[Mono]:
        """Decode, mix the channels, and fill gaps with silence.

        Raise what `Decoder.messages` raises.
        """
        return map(self._mix.mix, self.stretches())

    def stretches(self) -> Iterator[Channels]:
        """Decode, and fill gaps with silence of one channel; stretches follow each other.

        Raise what `Decoder.messages` raises.
        """
        position = self._start
        for begin, channels in self._stretches():
            yield from _silence(begin - position)
            yield channels
            position = begin + channels.shape[1]
        end_s = min(self.summary.end_s, self._end_s) if self.summary else 0.0
        missing = round(end_s * OUTPUT_RATE) - position
        if missing > _SHORT and position > self._start:
            yield from _silence(missing)

    def pieces_behind_header(self) -> Iterator[Mono]:
        """Do the same for a track whose header is known already."""
        self.header()
        yield from self.pieces()

    def _stretches(self) -> Iterator[tuple[int, Channels]]:
        """Join samples that follow each other."""
        held: list[Channels] = []
        begin = end = 0
        for chunk in self._chunks():
            is_next = held and chunk.position == end and len(chunk.samples) == len(held[0])
            if held and (not is_next or end - begin >= STRETCH):
                yield begin, _joined(held)
                held = []
            if not held:
                begin = chunk.position
            held.append(chunk.samples)
            end = chunk.position + chunk.samples.shape[1]
        if held:
            yield begin, _joined(held)

    def _chunks(self) -> Iterator[Chunk]:
        for message in self._messages:
            if isinstance(message, Chunk):
                yield self._sane(message)
            elif isinstance(message, Layout):
                self._mix.use(message.speakers)
            elif isinstance(message, Event):
                self.events.append(message)
            elif isinstance(message, Summary):
                self.summary = message
            elif isinstance(message, Refusal):
                raise DamagedAudio(
                    "far more of the recording is missing than is there; send it again, as wav or "
                    "flac"
                    if message.why is Refused.GAPS
                    else DAMAGED
                )
        if self.summary is None:
            raise DamagedAudio(DAMAGED)

    def _sane(self, chunk: Chunk) -> Chunk:
        """Silence what no recorder writes: the numbers of a damaged file of floats."""
        if not chunk.samples.size or float(np.abs(chunk.samples).max()) < _ABSURD:
            return chunk
        sane = np.where(np.abs(chunk.samples) < _ABSURD, chunk.samples, np.float32(0))
        places = np.flatnonzero((sane != chunk.samples).any(axis=0))
        first, last = chunk.position + int(places[0]), chunk.position + int(places[-1]) + 1
        event = Event(Happening.DAMAGE, first / OUTPUT_RATE, last / OUTPUT_RATE)
        self.events.append(event)
        return Chunk(chunk.position, sane)


def _silence(count: int) -> Iterator[Channels]:
    return (piece[np.newaxis] for piece in silence(count, STRETCH))


def _joined(held: list[Channels]) -> Channels:
    return held[0] if len(held) == 1 else np.concatenate(held, axis=1)


def together(first: Iterator[Mono], others: list[Iterator[Mono]]) -> Iterator[Mono]:
    """Mix tracks as if each were a microphone; the longest one says when it ends."""
    if not others:
        yield from first
        return
    mixer = Mixer()
    sources = [blocks(source, STRETCH) for source in (first, *map(_as_far_as_it_goes, others))]
    nothing = np.empty(0, np.float32)
    for parts in zip_longest(*sources, fillvalue=nothing):
        length = max(map(len, parts))
        channels = np.stack([np.pad(part, (0, length - len(part))) for part in parts])
        distinct = _distinct(channels)
        # Two tracks are no pair of wires: they are shared like microphones.
        mixed = mixer.share(channels * distinct[:, None])
        yield mixed


def _as_far_as_it_goes(pieces: Iterator[Mono]) -> Iterator[Mono]:
    with contextlib.suppress(DamagedAudio):
        yield from pieces


def _distinct(channels: Channels) -> Channels:
    """Return 0 for a track that holds the same sound as one before it, else 1; shape (tracks,)."""
    count = channels.shape[1] // _ENVELOPE
    frames = channels[:, : count * _ENVELOPE].reshape(len(channels), count, _ENVELOPE)
    level = np.sqrt(np.square(frames).mean(axis=2)) if count > 1 else np.zeros((len(channels), 2))
    kept = np.ones(len(channels), np.float32)
    for later in range(1, len(channels)):
        if any(kept[one] and likeness(level[one], level[later]) > _SAME for one in range(later)):
            kept[later] = 0.0
    return kept
