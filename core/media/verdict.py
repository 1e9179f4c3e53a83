"""What is said of a recording: why it cannot be used, or what of it is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from core.errors import DamagedAudio, NoAudioTrack, UnsupportedAudio, WorkerError
from core.media.decoder.codecs import is_allowed
from core.media.decoder.process import DAMAGED
from core.media.decoder.protocol import (
    SAMPLE_RATES_HZ,
    Event,
    Happening,
    Header,
    Refused,
    Summary,
    Track,
)

_FORMATS = "wav, mp3, flac, ogg, opus, m4a, aac, webm, mp4, mov, mkv, wma, amr, aiff"
_SHORTFALL = (1.0, 0.01)
"""A recording is called cut short if this many seconds, and this share of what the header says, are
missing.
"""
_LEAST_MISSING_S = 0.25
_MAX_TRACKS = 8
_MAX_PLACES = 5

_REFUSALS: dict[Refused, WorkerError] = {
    Refused.UNSUPPORTED: UnsupportedAudio(
        f"not a recording in a supported format; send one of {_FORMATS}"
    ),
    Refused.RAW: UnsupportedAudio(
        f"not a recording in a supported format; send one of {_FORMATS}; raw samples need a "
        "header, such as that of wav"
    ),
    Refused.WEB_PAGE: UnsupportedAudio(
        "not a recording in a supported format but a web page; give the address of the file "
        f"itself, and send one of {_FORMATS}"
    ),
    Refused.JSON: UnsupportedAudio(
        "not a recording in a supported format but JSON, perhaps a service's error; give the "
        f"address of the file itself, and send one of {_FORMATS}"
    ),
    Refused.DAMAGED: DamagedAudio(DAMAGED),
    Refused.GAPS: DamagedAudio(DAMAGED),
    Refused.NO_SOUND: NoAudioTrack("the file has no sound track; send one that has"),
}


def refusal(why: Refused) -> WorkerError:
    """Return the error for what cannot be decoded at all."""
    known = _REFUSALS[why]
    return type(known)(str(known))


def chosen_track(header: Header) -> Track:
    """Return the track that is decoded.

    Raise NoAudioTrack, UnsupportedAudio, DamagedAudio.
    """
    track = next((track for track in header.tracks if track.index == header.chosen), None)
    if track is None:
        raise _without_track(header)
    if track.rate_hz not in SAMPLE_RATES_HZ:
        raise UnsupportedAudio(
            f"a sample rate of {track.rate_hz} Hz is not supported; send 8,000 to 48,000 Hz"
        )
    return track


def _without_track(header: Header) -> WorkerError:
    if not header.tracks:
        return refusal(Refused.NO_SOUND)
    codecs = [track.codec for track in header.tracks]
    if any(codec and is_allowed(codec) for codec in codecs):
        return DamagedAudio(DAMAGED)
    named = next(filter(None, codecs), "something unknown")
    return UnsupportedAudio(
        f"the sound is coded as {named}, which cannot be read here; send one of {_FORMATS}"
    )


def companions(header: Header) -> list[Track]:
    """Return the tracks that are heard together with the chosen one: other voices, not the same in
    another language.
    """
    main = chosen_track(header)
    others = [track for track in header.tracks if track is not main and _belongs(track, main)]
    return others[: _MAX_TRACKS - 1]


def _belongs(track: Track, main: Track) -> bool:
    is_translated = track.language and main.language and track.language != main.language
    is_usable = track.is_readable and track.rate_hz in SAMPLE_RATES_HZ
    return is_usable and not track.is_alternative and not is_translated


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out of a recording. Times are seconds from the start of the file."""

    header: Header
    summary: Summary
    events: tuple[Event, ...]
    start_s: float
    end_s: float
    is_full: bool
    """The range that was asked for ends before the file does."""

    def warnings(self) -> Iterator[str]:
        """Say what is missing; nothing if nothing is."""
        if self._is_cut():
            yield (
                "the recording seems to be cut short or damaged: it could be read up to "
                f"{self.end_s:.1f} s"
            )
        for what, sentence in _SENTENCES.items():
            places = _joined(
                event for event in self.events if event.what is what and self._meets(event)
            )
            if places:
                yield sentence.format(_listed(map(_place, places), len(places)))
        yield from self._left_out()

    def _is_cut(self) -> bool:
        if self.is_full:
            return False
        length_s = self.summary.end_s
        missing_s = length_s * self.header.missing_share / max(1e-9, 1 - self.header.missing_share)
        if not self.summary.is_whole or self.header.is_cut or missing_s > _LEAST_MISSING_S:
            return True
        declared_s = self.header.duration_s if self.header.is_exact else None
        short_s = (declared_s or 0.0) - length_s
        return short_s > max(_SHORTFALL[0], _SHORTFALL[1] * length_s)

    def _meets(self, event: Event) -> bool:
        return event.end_s >= self.start_s and event.start_s <= self.end_s

    def _left_out(self) -> Iterator[str]:
        main = chosen_track(self.header)
        heard = {main.index, *(track.index for track in companions(self.header))}
        tracks = enumerate(self.header.tracks, 1)
        names = [_name(number, track) for number, track in tracks if track.index not in heard]
        if names:
            yield f"of {len(self.header.tracks)} sound tracks, left out: {', '.join(names)}"


_SENTENCES = {
    Happening.DAMAGE: "the recording is damaged at {}: silence is put in its place",
    Happening.GAP: "the time stamps of the recording leave out {}: silence is put there",
    Happening.UNREAD: "a part of the file could not be read; it belongs at {}",
}


def _joined(events: Iterable[Event]) -> list[Event]:
    """Join stretches with next to nothing between them."""
    joined: list[Event] = []
    for event in events:
        if joined and event.start_s - joined[-1].end_s <= _LEAST_MISSING_S:
            event = replace(joined.pop(), end_s=event.end_s)  # noqa: PLW2901
        joined.append(event)
    return joined


def _listed(places: Iterable[str], count: int) -> str:
    shown = list(places)[:_MAX_PLACES]
    more = count - len(shown)
    return ", ".join(shown) + (f" and {more} more places" if more else "")


def _place(event: Event) -> str:
    if event.start_s == event.end_s:
        return f"{event.start_s:.1f} s"
    return f"{event.start_s:.1f} to {event.end_s:.1f} s"


def _name(number: int, track: Track) -> str:
    about = [f"language {track.language}"] if track.language else []
    if not track.is_readable:
        about.append(f"codec {track.codec or 'unknown'}")
    return f"track {number}" + (f" ({', '.join(about)})" if about else "")
