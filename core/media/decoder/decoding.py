"""From the packets of one recording to frames at their times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import av
from av import AudioFrame, AudioStream, Packet
from av.stream import Discard

from core.media.decoder import junk
from core.media.decoder.clock import Clock
from core.media.decoder.opened import Opened
from core.media.decoder.output import Output
from core.media.decoder.protocol import SAMPLE_RATES_HZ, Happening, Track
from core.media.decoder.report import Report

_FRAMED = {"mp3", "ac3"}
"""Formats whose packets are cut out of the file by what a frame looks like."""
_NAMELESS = {"flac", "alac"}
"""Codecs that give names to channels by their number, whatever they are."""
_MAX_READ_ERRORS = 100
_FREE_SILENCE_S = 600.0
_SILENCE_RATIO = 10.0
_LEAST_LOSS_S = 0.05
_MAX_LOST_S = 36_000
_FLAC_HEAD_BYTES = 16


class TooMuchSilence(Exception):
    """Time stamps make hours of what holds next to no sound."""


@dataclass(slots=True)
class Session:
    """What all recordings of a file share."""

    clock: Clock
    output: Output
    report: Report
    filled_s: float = 0.0
    decoded_s: float = 0.0
    is_whole: bool = True

    def fill(self, seconds: float) -> None:
        """Leave out a stretch in which there is nothing.

        Raise TooMuchSilence.
        """
        self.filled_s += seconds
        if self.filled_s > _FREE_SILENCE_S + _SILENCE_RATIO * self.decoded_s:
            raise TooMuchSilence
        self.output.break_off()
        self.clock.set(self.clock.now_s + seconds)


@dataclass(slots=True)
class Decoding:
    """One track of one recording."""

    session: Session
    opened: Opened
    track: Track
    _usual: junk.Usual = field(default_factory=junk.Usual)
    _expected_place: int | None = None
    """Of the next flac frame, in samples."""
    _block_samples: int = 0
    _is_placed: bool = True
    """If not, what the packet holds is told by the place of the next one."""
    _lost_s: float = 0.0
    """Lost since the last frame, and not yet on the clock."""
    _holes: dict[int, int] = field(default_factory=dict)
    _number: int = 0
    """Of the packet."""
    _is_first: bool = True
    _is_sought: bool = False
    _has_junk: bool = False
    _reads_stamps: bool = False

    def __post_init__(self) -> None:
        name = self.opened.format
        self._has_junk = name in _FRAMED | {"flac", "aac"}
        if name == "aac":
            self._holes = junk.adts_holes(self.opened.file)
        self._reads_stamps = self.opened.is_stamped

    def run(self, start_s: float) -> None:
        """Decode all of it, or until the range is full."""
        stream = self.opened.stream(self.track)
        self._prepare(stream)
        self._is_sought = start_s > 0 and self.opened.seek(self.track, start_s)
        for packet in self._packets(stream):
            for frame in self._frames(stream, packet):
                if frame.sample_rate in SAMPLE_RATES_HZ:
                    self._place(frame)
            if self.session.output.is_full:
                break
        else:
            self._lose_at_end()
        self.session.output.break_off()

    def _prepare(self, stream: AudioStream) -> None:
        context = stream.codec_context
        context.thread_count = 1
        self.session.output.names_speakers = context.name not in _NAMELESS
        if context.name == "flac":
            context.options = {"err_detect": "crccheck+explode"}
        for other in self.opened.container.streams:
            if other.index != stream.index:
                other.discard = Discard.all

    def _packets(self, stream: AudioStream) -> Iterator[Packet[AudioStream]]:
        for _ in range(_MAX_READ_ERRORS):
            before = self.session.decoded_s
            try:
                yield from self.opened.container.demux(stream)
            except (av.FFmpegError, ValueError):
                if self.session.decoded_s == before:
                    break
            else:
                return
        self.session.is_whole = False

    def _frames(self, stream: AudioStream, packet: Packet[AudioStream]) -> list[AudioFrame]:
        size = packet.size
        if size and self._has_junk:
            packet = self._without_junk(packet)
        try:
            frames = stream.codec_context.decode(packet if size else None)
        except (av.FFmpegError, ValueError):
            if self._is_placed:
                self._lose(self._duration_s(packet))
            return []
        if size and self._has_junk and frames:
            self._usual.count(packet.size, frames[0].samples / (frames[0].sample_rate or 1))
        return frames

    def _duration_s(self, packet: Packet[AudioStream]) -> float:
        base = packet.time_base
        return float(packet.duration * base) if packet.duration and base else 0.0

    # Damage

    def _without_junk(self, packet: Packet[AudioStream]) -> Packet[AudioStream]:
        """Take lost sound out of a packet, or note it before one."""
        name = self.opened.format
        if name == "aac":
            self._lose(self._usual.seconds(self._holes.get(self._number, 0)))
            self._number += 1
        elif name == "flac":
            self._read_flac_place(packet)
        elif name in _FRAMED and self._usual.is_suspect(packet.size):
            found = junk.split(bytes(packet), name)
            self._lose(self._usual.seconds(found.lost))
            if 0 < len(found.frame) < packet.size:
                return cast("Packet[AudioStream]", Packet(found.frame))
        return packet

    def _read_flac_place(self, packet: Packet[AudioStream]) -> None:
        """Compare the place that a frame gives with the one that is next."""
        samples = packet.duration or 0
        self._block_samples = self._block_samples or samples
        place = junk.flac_place(bytes(packet)[:_FLAC_HEAD_BYTES], self._block_samples)
        self._is_placed = place is not None
        if place is None:
            return
        lost = place - (self._expected_place or place)
        if 0 < lost <= _MAX_LOST_S * self.track.rate_hz:
            self._lose(lost / self.track.rate_hz)
        self._expected_place = place + samples

    def _lose(self, seconds: float) -> None:
        self._lost_s += seconds
        if self._lost_s >= _LEAST_LOSS_S and self._reads_stamps:
            self.session.clock.is_short = True

    def _lose_at_end(self) -> None:
        if self._lost_s >= _LEAST_LOSS_S:
            now_s = self.session.clock.now_s
            self.session.report.add(Happening.DAMAGE, now_s, now_s + self._lost_s)
            self.session.fill(self._lost_s)

    # Time

    def _place(self, frame: AudioFrame) -> None:
        session, clock = self.session, self.session.clock
        samples, rate = frame.samples, frame.sample_rate
        if self._reads_stamps or self._is_sought or self._lost_s:
            self._read_stamp(frame)
        session.output.push(frame, clock.now_s, samples / rate)
        clock.count(samples, rate)
        session.decoded_s += samples / rate
        self._is_first = False

    def _read_stamp(self, frame: AudioFrame) -> None:
        base = frame.time_base
        stamp_s = None if frame.pts is None or base is None else float(frame.pts * base)
        if self._is_sought and stamp_s is not None:
            self.session.clock.jump(stamp_s)
            self._is_sought = False
        self._leave_out(stamp_s)

    def _leave_out(self, stamp_s: float | None) -> None:
        """Leave out what was lost, or what was never there."""
        clock = self.session.clock
        is_damage = self._lost_s >= _LEAST_LOSS_S
        is_told = clock.is_short
        silence_s = clock.silence_before(stamp_s, is_first=self._is_first)
        if is_damage and not (is_told and silence_s):
            silence_s = self._lost_s
        self._lost_s = 0.0
        if silence_s <= 0:
            return
        what = Happening.DAMAGE if is_damage else Happening.GAP
        if is_damage or not self._is_first:
            self.session.report.add(what, clock.now_s, clock.now_s + silence_s)
        self.session.fill(silence_s)
