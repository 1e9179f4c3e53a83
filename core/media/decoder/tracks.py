"""The sound tracks of an open file, and which of them is decoded."""

from __future__ import annotations

import re

from av import AudioStream
from av.container import InputContainer
from av.stream import Disposition

from core.media.decoder.codecs import is_allowed
from core.media.decoder.protocol import Track
from core.media.decoder.window import Window

_ALTERNATIVE = (
    Disposition.dub
    | Disposition.comment
    | Disposition.lyrics
    | Disposition.karaoke
    | Disposition.visual_impaired
    | Disposition.clean_effects
    | Disposition.descriptions
    | Disposition.dependent
)
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z]{2,4})?")
_CODE = re.compile(rb"[A-Za-z0-9._ -]{4}")
_UNNAMED = {"und", "mis", "mul", "zxx", "qaa"}
_MAX_SEARCHED_BYTES = 64 << 20


def sound_tracks(container: InputContainer, file: Window) -> tuple[Track, ...]:
    """Describe the sound tracks in their order."""
    streams = list(container.streams.audio)
    names = {} if all(stream.codec_context for stream in streams) else _codes(container, file)
    return tuple(_describe(stream, names.get(stream.index)) for stream in streams)


def choose(tracks: tuple[Track, ...], wanted: int | None) -> Track | None:
    """Return the track to decode: the wanted one, else the default one, else the first that can be
    read.
    """
    readable = [track for track in tracks if track.is_readable]
    if wanted is not None:
        return next((track for track in readable if track.index == wanted), None)
    return min(
        readable, key=lambda track: (track.is_alternative, not track.is_default), default=None
    )


def _describe(stream: AudioStream, code: str | None) -> Track:
    context = stream.codec_context
    language = (stream.language or "").lower()
    base = stream.time_base
    return Track(
        index=stream.index,
        codec=context.name if context else code,
        is_readable=bool(context) and is_allowed(context.name) and context.sample_rate > 0,
        is_default=bool(stream.disposition & Disposition.default),
        is_alternative=bool(stream.disposition & _ALTERNATIVE),
        language=language if _LANGUAGE.fullmatch(language) and language not in _UNNAMED else None,
        rate_hz=context.sample_rate if context else 0,
        channels=context.channels if context else 0,
        duration_s=float(stream.duration * base) if stream.duration and base else None,
    )


def _codes(container: InputContainer, file: Window) -> dict[int, str]:
    """Return the four letters that a mov calls a codec by, by the index of the track."""
    if "mov" not in container.format.name:
        return {}
    content = file.peek(0, _MAX_SEARCHED_BYTES) + file.peek(
        max(_MAX_SEARCHED_BYTES, file.size - _MAX_SEARCHED_BYTES), _MAX_SEARCHED_BYTES
    )
    found = [
        content[match.end() + 12 : match.end() + 16] for match in re.finditer(b"stsd", content)
    ]
    if len(found) != len(container.streams):
        return {}
    return {
        index: code.decode().strip() for index, code in enumerate(found) if _CODE.fullmatch(code)
    }
