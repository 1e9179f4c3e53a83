"""From a request back to JSON, for the endpoints of the orchestrator.

This is the inverse of `job_input.parse`. It lists no fields: it writes every field of a request
by its name in `core.domain.request`, unless `_NAMES` has another.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import MISSING, Field, asdict, fields, is_dataclass
from typing import Any

from core.domain.request import (
    DiarizationRequest,
    KnownSpeaker,
    LocalFile,
    Part,
    Source,
    SpeakerCount,
    TranscriptionRequest,
)
from core.domain.timeline import Turn, Voice
from core.errors import SourceTooLarge
from core.wire.limits import MAX_RUN_BYTES

_NAMES = {
    (SpeakerCount, "exact"): "num_speakers",
    (SpeakerCount, "at_least"): "min_speakers",
    (SpeakerCount, "at_most"): "max_speakers",
    (TranscriptionRequest, "characters"): "timestamps",
    (TranscriptionRequest, "turns"): "diarization_segments",
}
"""The fields whose names differ on the wire."""


def job_input(request: TranscriptionRequest | DiarizationRequest) -> dict[str, object]:
    """Return the input that `parse` turns into this request; leave out defaults.

    Raise SourceTooLarge, before any file is read, if the platform cannot carry its files.
    """
    size = sum(-(-file.path.stat().st_size // 3) * 4 for file in _files(request))
    if size > MAX_RUN_BYTES:
        raise not_carried(f"{size / 1e6:.1f} MB")
    return dict(_flat(request))


def not_carried(said: str) -> SourceTooLarge:
    """Return the error for a request that the platform does not carry; `said` is its size."""
    return SourceTooLarge(
        f"the request has {said} and the platform carries {MAX_RUN_BYTES / 1e6:.0f} MB from the "
        "orchestrator to its endpoints; put the recording where a URL leads to it and give that"
    )


def _files(value: Any) -> Iterator[LocalFile]:
    if isinstance(value, LocalFile):
        yield value
    elif isinstance(value, tuple):
        for one in value:
            yield from _files(one)
    elif is_dataclass(value) and not isinstance(value, Turn | Voice):
        for field in fields(value):
            yield from _files(getattr(value, field.name))


def _flat(value: Any) -> Iterator[tuple[str, object]]:
    for one in fields(value):
        inner = getattr(value, one.name)
        if isinstance(inner, Source):
            yield "audio", inner.value
        elif isinstance(inner, LocalFile):
            name = "audio" if isinstance(value, KnownSpeaker) else "audio_base64"
            yield name, base64.b64encode(inner.path.read_bytes()).decode()
        elif is_dataclass(inner) and not isinstance(inner, Part | Voice):
            yield from _flat(inner)
        elif inner != _default(one):
            yield _NAMES.get((type(value), one.name), one.name), _plain(inner)


def _default(one: Field[Any]) -> object:
    if one.default_factory is not MISSING:
        return one.default_factory()
    return None if one.default is MISSING else one.default


def _plain(value: Any) -> object:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, KnownSpeaker | Voice):
        return dict(_flat(value))
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
