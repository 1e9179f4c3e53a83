"""A recording that PyAV has open, and what its container says of time."""

from __future__ import annotations

import re
from dataclasses import dataclass

import av
from av import AudioStream
from av.container import InputContainer

from core.media.decoder.codecs import is_allowed
from core.media.decoder.protocol import Track
from core.media.decoder.sniff import id3_size
from core.media.decoder.tracks import sound_tracks
from core.media.decoder.window import Window

_STAMPED = {"mov", "matroska", "ogg", "asf"}
"""Formats that write down when something was heard. The others are sound and nothing else."""
_MAPPED = {"caf", "mov", "aiff"}
"""Formats that may have a map of their channels."""
_BY_BYTES = {"wav", "w64", "aiff", "caf"}
_SEEKABLE = {"mov", "matroska", *_BY_BYTES}
_ESTIMATED = {"aac", "ac3", "amr"}
_FRAME_COUNT = re.compile(rb"Xing|Info|VBRI")
_JOINED, _TAGS_BYTES = 1.05, 4_096
"""An mp3 that is larger than it says is several in a row."""
_LEAST_SEEK_S = 30.0
_SEEK_MARGIN_S = 5.0


def open_part(file: Window, format_name: str, *, ignores_length: bool) -> Opened:
    """Open a recording of a known format.

    Raise what PyAV raises if it cannot.
    """
    options = {
        "protocol_whitelist": "none",
        "format_whitelist": _LAVF_NAMES.get(format_name, format_name),
        "codec_whitelist": _CODECS,
    }
    if ignores_length:
        options["ignore_length"] = "1"
    container = av.open(file, "r", format=format_name, options=options, metadata_errors="ignore")
    if format_name in _MAPPED:
        for stream in container.streams.audio:
            _settle_layout(stream)
    return Opened(container, file, format_name, sound_tracks(container, file))


def _settle_layout(stream: AudioStream) -> None:
    """Put a plain number of channels in the place of a map of them.

    PyAV frees such a map with whatever looks at it, and once more with its owner: so it is looked
    at once, and gone.
    """
    context = stream.codec_context
    count = context.channels if context else 0
    if count:
        context.layout = {1: "mono", 2: "stereo"}.get(count, f"{count} channels")


_LAVF_NAMES = {"mov": "mov,mp4,m4a,3gp,3g2,mj2", "matroska": "matroska,webm"}
_CODECS = ",".join(sorted(filter(is_allowed, av.codecs_available)))


@dataclass(frozen=True, slots=True)
class Opened:
    """One recording."""

    container: InputContainer
    file: Window
    format: str
    tracks: tuple[Track, ...]

    @property
    def is_stamped(self) -> bool:
        """The format has time stamps."""
        return self.format in _STAMPED

    @property
    def origin_s(self) -> float:
        """The stamp that is the start of the file."""
        start = self.container.start_time
        return start / av.time_base if self.is_stamped and start else 0.0

    def stream(self, track: Track) -> AudioStream:
        """Return the stream of a track."""
        return next(one for one in self.container.streams.audio if one.index == track.index)

    def duration_s(self, track: Track) -> float | None:
        """Seconds from the start of the file to the end of a track, if the file knows them."""
        if self.format in _ESTIMATED or (self.format == "mp3" and not self._counts_frames()):
            return None
        if self.format in _STAMPED - {"mov"}:
            whole = self.container.duration
            behind = self.origin_s if self.format == "matroska" else 0.0
            return whole / av.time_base - behind if whole else None
        late_s = 0.0
        stream = self.stream(track)
        if self.is_stamped and stream.start_time and stream.time_base:
            late_s = max(0.0, float(stream.start_time * stream.time_base) - self.origin_s)
        return None if track.duration_s is None else late_s + track.duration_s

    @property
    def is_exact(self) -> bool:
        """The container's duration is the sound's, as there is nothing else in it."""
        return self.format in {"mov", *_BY_BYTES, "mp3", "flac", "ogg"} or (
            len(self.container.streams) == len(self.tracks) == 1
        )

    def is_trusted(self, track: Track) -> bool:
        """Tell whether a duration follows from the file's content, not from one number in it."""
        if self.format in {"mov", "ogg"}:
            return True
        samples = (track.duration_s or 0.0) * track.rate_hz * track.channels
        return self.format in _BY_BYTES and 0 < samples <= self.file.size

    def seek(self, track: Track, start_s: float) -> bool:
        """Go to a place well before a time, in formats that know their places; say whether."""
        if start_s < _LEAST_SEEK_S or self.format not in _SEEKABLE:
            return False
        is_counted = track.codec is not None and track.codec.startswith("pcm_")
        if self.format in _BY_BYTES and not is_counted:
            return False
        target_s = start_s - _SEEK_MARGIN_S + self.origin_s
        try:
            self.container.seek(int(target_s * av.time_base))
        except av.FFmpegError:
            self.container.seek(0)
            return False
        return True

    def _counts_frames(self) -> bool:
        """Tell whether an mp3 says how many frames it has, and goes on no farther."""
        head = self.file.peek(0, 10)
        begin = 10 + id3_size(head) if head[:3] == b"ID3" else 0
        first = self.file.peek(begin, 512)
        found = _FRAME_COUNT.search(first)
        if not found:
            return False
        said = int.from_bytes(first[found.end() + 8 :][:4], "big")
        has_size = first[found.end() : found.end() + 4][-1:] >= b"\2"
        return not (has_size and self.file.size - begin > _JOINED * said + _TAGS_BYTES)
