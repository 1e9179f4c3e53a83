"""From decoded frames to samples at 16 kHz, each with its position, cut to the range asked for."""

from __future__ import annotations

from typing import BinaryIO

from av import AudioFifo, AudioFrame, AudioResampler

from core.media.decoder import protocol
from core.media.decoder.protocol import OUTPUT_RATE, Layout

_GATHERED_SAMPLES = 8_192
"""Resampled at once: each call costs as much as a thousand samples."""
_BATCH_SAMPLES = 16_384
_SAMPLE_BYTES = 4
_PLANAR_CHANNELS = 2
"""More channels come interleaved and are not gathered: PyAV goes beyond the end of eight planes."""
_MARGIN_S = 1.0
"""How long before the range resampling begins, so that the filter has settled."""


class Output:
    """The range of one track. What changes inside of it changes the resampler, not the clock."""

    def __init__(self, pipe: BinaryIO, start_s: float, end_s: float) -> None:
        self.names_speakers = True
        """The channels' names are the file's own, not those that a format gives by number."""
        self._pipe = pipe
        self._start_s = start_s
        self._start = round(start_s * OUTPUT_RATE)
        self._end = end_s * OUTPUT_RATE
        self._resampler: AudioResampler | None = None
        self._fifo = AudioFifo()
        """Takes frames of one kind, and does not notice a change of channels."""
        self._channels = self._rate = 0
        self._speakers: tuple[str, ...] | None = None
        self._position = 0
        """Of the next sample that the resampler gives."""
        self._width = 1
        """Channels that are interleaved in a plane."""
        self._batch: list[list[bytes]] = []
        self._batched = 0
        self._batch_position = 0

    @property
    def is_full(self) -> bool:
        """Everything that was asked for is sent."""
        return self._position >= self._end

    def push(self, frame: AudioFrame, at_s: float, length_s: float) -> None:
        """Take a frame that begins at this time."""
        if at_s < self._start_s - _MARGIN_S - length_s:
            return
        frame.pts = None
        channels, rate = frame.layout.nb_channels, frame.sample_rate
        if channels != self._channels or rate != self._rate:
            self.break_off()
            self._channels, self._rate = channels, rate
        if channels > _PLANAR_CHANNELS:
            self._resampler = self._resampler or self._begin(frame, at_s)
            self._take(self._resampler, frame)
            return
        try:
            self._fifo.write(frame)
        except ValueError:  # another kind of number
            self.break_off()
            self._fifo.write(frame)
        self._resampler = self._resampler or self._begin(frame, at_s)
        if self._fifo.samples >= _GATHERED_SAMPLES:
            self._take(self._resampler, self._fifo.read())

    def break_off(self) -> None:
        """End what hangs together: what comes next begins at a time of its own."""
        if self._resampler is not None:
            if self._fifo.samples:
                self._take(self._resampler, self._fifo.read())
            self._take(self._resampler, None)
            self._resampler = None
        self._fifo = AudioFifo()
        self._send()

    def _begin(self, frame: AudioFrame, at_s: float) -> AudioResampler:
        channels = frame.layout.nb_channels
        is_planar = channels <= _PLANAR_CHANNELS
        self._width = 1 if is_planar else channels
        # Rounding, and a filter that gives a sample more than it took, never make an overlap.
        self._position = max(self._position, round(at_s * OUTPUT_RATE))
        is_named = self.names_speakers and "channels" not in frame.layout.name
        names = (
            tuple(channel.name for channel in frame.layout.channels)
            if is_named and channels > 2
            else ()
        )
        if names != self._speakers:
            self._speakers = names
            protocol.write(self._pipe, Layout(names))
        return AudioResampler("fltp" if is_planar else "flt", frame.layout, OUTPUT_RATE)

    def _take(self, resampler: AudioResampler, frame: AudioFrame | None) -> None:
        for resampled in resampler.resample(frame):
            self._cut(resampled)

    def _cut(self, frame: AudioFrame) -> None:
        position, count = self._position, frame.samples
        self._position += count
        first = max(0, self._start - position)
        last = int(min(count, max(0, self._end - position)))
        if first >= last:
            return
        if not self._batch:
            self._batch = [[] for _ in frame.planes]
            self._batch_position = position + first
        for kept, plane in zip(self._batch, frame.planes, strict=True):
            width = self._width * _SAMPLE_BYTES
            kept.append(bytes(memoryview(plane)[first * width : last * width]))
        self._batched += last - first
        if self._batched >= _BATCH_SAMPLES:
            self._send()

    def _send(self) -> None:
        if self._batch:
            planes = [b"".join(kept) for kept in self._batch]
            protocol.write_samples(self._pipe, self._batch_position, self._width, planes)
        self._batch, self._batched = [], 0
