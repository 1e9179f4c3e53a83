"""Who speaks when in a waveform, by name if the caller brings the voice."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Event

from core.domain.parts import DiarizedPart, Likeness
from core.domain.request import (
    DiarizationRequest,
    KnownSpeaker,
    Range,
    Recording,
    SingleRequest,
    SpeakerCount,
)
from core.domain.timeline import Diarization
from core.domain.usage import Work
from core.domain.watch import Stage, Watch
from core.flows.branches import raise_cause
from core.flows.known_speakers import about
from core.flows.recording import Reader
from core.media.audio import Waveform
from core.speakers.diarizer import Diarizer
from core.speakers.identify import KnownVoice, identify, voiceless
from core.speakers.shares import Share

HEARD_S = 120.0
"""How much of a known speaker's recording is listened to; it should be enough for 30 s of speech.
"""
_AT_ONCE = 4
"""Recordings of known speakers that are fetched and decoded side by side."""


def diarize(
    diarizer: Diarizer,
    waveform: Waveform,
    speakers: SpeakerCount,
    watch: Watch,
    *,
    voices: bool = False,
) -> Diarization:
    """Find who speaks when in a waveform, and with `voices` how they sound."""
    with watch.clock.at(Work.SPEAKERS):
        return diarizer.diarize(
            waveform,
            speakers=speakers,
            progress=watch.stage(Stage.DIARIZING),
            cancelled=watch.cancelled,
            voices=voices,
        )


def check(diarizer: Diarizer, known: Sequence[KnownSpeaker]) -> None:
    """Raise InvalidRequest if a vector is of another model, before there is any work."""
    for index, one in enumerate(known):
        if one.embedding is not None:
            with about(index, "embedding"):
                diarizer.check(one.embedding)


@dataclass(frozen=True, slots=True)
class SpeakerSearch:
    """Finds who speaks when, and who that is."""

    reader: Reader
    diarizer: Diarizer

    def hear(
        self, waveform: Waveform, request: DiarizationRequest | SingleRequest, watch: Watch
    ) -> Diarization:
        """Return the turns, with names of known speakers, and voices if they are asked for.

        Raise what fetching, decoding and the diarizer raise.
        """
        known, doubts = self._known(request.known_speakers, watch)
        found = diarize(
            self.diarizer,
            waveform,
            request.speakers or SpeakerCount(),
            watch,
            voices=bool(known) or request.return_embeddings,
        )
        found = replace(found, warnings=(*found.warnings, *voiceless(found)))
        named = identify(found, known, self.diarizer.matching) if known else found
        voices = named.voices if request.return_embeddings else None
        return replace(named, voices=voices, warnings=(*doubts, *named.warnings))

    def hear_part(
        self, waveform: Waveform, share: Share, request: DiarizationRequest, watch: Watch
    ) -> DiarizedPart:
        """Return the turns of a part with its speakers' voices, and without names.

        `waveform` is what is heard of the recording for it. Raise as `hear` does.
        """
        known, doubts = self._known(request.known_speakers, watch)
        count = share.speakers(request.speakers)
        found = diarize(self.diarizer, waveform, count, watch, voices=True)
        found, matching = share.trimmed(found), self.diarizer.matching
        return replace(
            found,
            warnings=(*doubts, *found.warnings),
            likeness=Likeness(self.diarizer.linking, matching.threshold, matching.margin),
            known=tuple(replace(one.voice, speaker=one.name) for one in known),
        )

    def _known(
        self, known: Sequence[KnownSpeaker], watch: Watch
    ) -> tuple[list[KnownVoice], list[str]]:
        """Return the voices of known speakers, and what is doubtful about them.

        If one cannot be had, the others are given up.
        """
        check(self.diarizer, known)
        if not known:
            return [], []
        failed = Event()
        watch = Watch(cancelled=watch.also_cancelled(failed.is_set).cancelled, clock=watch.clock)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            running = [
                pool.submit(self._voice, index, one, watch) for index, one in enumerate(known)
            ]
            for one in running:
                one.add_done_callback(lambda done: failed.set() if done.exception() else None)
        raise_cause(*running)
        heard = [one.result() for one in running]
        return [voice for voice, _ in heard], [doubt for _, doubts in heard for doubt in doubts]

    def _voice(
        self, index: int, known: KnownSpeaker, watch: Watch
    ) -> tuple[KnownVoice, tuple[str, ...]]:
        if known.embedding is not None:
            return KnownVoice(known.name, known.embedding), ()
        if known.audio is None:
            raise TypeError("a known speaker has neither a recording nor a vector")
        with about(index, "audio"):
            recording = Recording(known.audio, Range(0.0, HEARD_S))
            waveform = self.reader.waveform(recording, watch)
            with watch.clock.at(Work.SPEAKERS):
                voice, doubts = self.diarizer.voice(waveform, cancelled=watch.cancelled)
        told = (f"known speaker {known.name}: {one}" for one in (*waveform.warnings, *doubts))
        return KnownVoice(known.name, voice), tuple(told)
