"""From utterances to words: any number of recordings at once, with one speech model."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

import numpy as np

from core.domain.request import Decoding
from core.domain.timeline import Character, Span, Transcription, Word
from core.domain.watch import Heard, IsCancelled, Progress
from core.engine.accelerator import ModelThread
from core.media.audio import SAMPLE_RATE, Samples
from core.media.cutting import OVERLAP_S, Utterance
from core.speech.abilities import checked, known
from core.speech.batching import Batcher, Decoded
from core.speech.engine import Recognition, SpeechEngine
from core.speech.vote import LanguageVote
from core.transcript.seams import JoinedSoFar, UtteranceWords, join_words

GPU_BATCH_S = 400.0
CPU_BATCH_S = 100.0
"""Seconds of audio in a batch, padding included: 16 (or 4) utterances of 25 s."""
WINDOW_BATCHES = 3
"""Batches that a job reads ahead and sorts by length, so that little is padded.

This also bounds the memory that a long file takes.
"""

FIRST_WINDOW_S = 30.0
"""Seconds of the first window of a job to which somebody listens: those after it are each twice as
long, up to one batch.
"""

SOUND_DBFS = -40.0
SOUND_S = 1.0
"""Warn of an utterance without words if more than this is louder than `SOUND_DBFS`.

Speech in a recording of usual level has -30..-15 dBFS.
"""


class Transcriber(Protocol):
    """A speech model that many jobs can use at once."""

    def prepared(self, decoding: Decoding) -> Decoding:
        """Return the decoding with the language that the model will use, if one is known.

        Raise UnsupportedLanguage, or InvalidRequest if the model cannot do what is asked for.
        This is cheap: call it before fetching the recording.
        """
        ...

    def transcribe(
        self,
        utterances: Iterable[Utterance],
        *,
        decoding: Decoding,
        progress: Progress,
        cancelled: IsCancelled,
        duration_s: float | None = None,
        heard: Heard | None = None,
    ) -> Transcription:
        """Return the words of one recording, whose utterances come in order of time.

        Times are those of the recording. The utterances may come from a generator: only a few
        batches of them are held. Pass a decoding that `prepared` returned. `duration_s` is the
        total length of the utterances, for the progress; None is enough for a sequence. `heard`
        gets the words as they become certain.

        Raise Cancelled, OutOfMemory, ModelFailed, and whatever the generator raises.
        """
        ...


class BatchTranscriber:
    """Fills batches for an engine; jobs of many threads share them.

    The other utterances in a batch change the last bits of the model's results, and may tip the
    balance between two equally likely frames or words. The embedded model finds the same words in
    any company.
    """

    def __init__(
        self,
        load: Callable[[], SpeechEngine],
        *,
        name: str,
        batch_s: float | None = None,
    ) -> None:
        """Load an engine. `name` is the model's in messages, and tells what it was trained for.

        Raise what `load` raises, OutOfMemory if the model does not fit, ModelFailed.
        """
        self._name = name
        thread = ModelThread("speech")
        engine = thread.load(load)
        batch_s = batch_s or (CPU_BATCH_S if engine.device == "cpu" else GPU_BATCH_S)
        self._batch_s = batch_s
        self._abilities = known(name, engine.abilities)
        self._window_s = WINDOW_BATCHES * batch_s
        self._batcher = Batcher(engine.recognise, thread, batch_s=batch_s, least_s=engine.window_s)

    def prepared(self, decoding: Decoding) -> Decoding:
        """See `Transcriber`."""
        return checked(decoding, self._abilities, self._name)

    def transcribe(
        self,
        utterances: Iterable[Utterance],
        *,
        decoding: Decoding,
        progress: Progress,
        cancelled: IsCancelled,
        duration_s: float | None = None,
        heard: Heard | None = None,
    ) -> Transcription:
        """See `Transcriber`."""
        if duration_s is None and isinstance(utterances, Sequence):
            duration_s = sum(utterance.duration for utterance in utterances)
        words: list[UtteranceWords] = []
        missed: list[Span] = []
        listener = None if heard is None else _Listener(heard)
        vote = LanguageVote()
        counted = _Counted(progress, duration_s)
        for window in self._windows(utterances, heard):
            decoded = self._decode(window, decoding, vote, counted, cancelled)
            found = [_in_the_recording(*one) for one in decoded]
            words += found
            missed += [one.span for one, recognition in decoded if _is_missed(one, recognition)]
            if listener:
                listener.add(found)
        if listener:
            listener.end()
        progress(1.0)
        return _joined(words, missed, decoding.language or vote.leader)

    def _decode(
        self,
        window: list[Utterance],
        decoding: Decoding,
        vote: LanguageVote,
        counted: _Counted,
        cancelled: IsCancelled,
    ) -> list[Decoded]:
        """Decode utterances; decode those again whose language was probably mistaken.

        What has words in its own language alone keeps them.
        """
        decoded: list[Decoded] = []
        for together in self._batcher.decode(window, decoding, cancelled):
            decoded += together
            counted.add(utterance.duration for utterance, _ in together)
        vote.count(found for _, found in decoded)
        outvoted = vote.outvoted(decoded)
        if outvoted:
            sure = replace(decoding, language=vote.leader)
            again = {
                id(utterance): (utterance, found)
                for together in self._batcher.decode(outvoted, sure, cancelled)
                for utterance, found in together
                if found.words  # else it was no mistake
            }
            decoded = [again.get(id(one[0]), one) for one in decoded]
        return decoded

    def _windows(
        self, utterances: Iterable[Utterance], heard: Heard | None
    ) -> Iterator[list[Utterance]]:
        """Give one who listens the beginning soon: a window is decoded before the next."""
        if heard is None:
            return _windows(utterances, self._window_s)
        return _windows(utterances, self._batch_s, first_s=FIRST_WINDOW_S)


class _Listener:
    """Tells one who listens the words of windows that come in order."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._joined = JoinedSoFar(OVERLAP_S)

    def add(self, window: Iterable[UtteranceWords]) -> None:
        """Tell the words that are certain after one more window."""
        in_order = sorted(window, key=_start)
        self._tell([word for piece in in_order for word in self._joined.add(piece)])

    def end(self) -> None:
        """Tell the rest."""
        self._tell(self._joined.rest())

    def _tell(self, words: Sequence[Word]) -> None:
        if words:
            self._heard(tuple(words))


class _Counted:
    """Reports how much of a recording is done."""

    def __init__(self, progress: Progress, duration_s: float | None) -> None:
        self._progress = progress
        self._duration_s = duration_s
        self._done_s = 0.0

    def add(self, durations_s: Iterable[float]) -> None:
        """Count utterances of these lengths."""
        self._done_s += sum(durations_s)
        if self._duration_s:
            self._progress(min(1.0, self._done_s / self._duration_s))


_Timed = TypeVar("_Timed", Word, Character)


def _windows(
    utterances: Iterable[Utterance], window_s: float, *, first_s: float | None = None
) -> Iterator[list[Utterance]]:
    """Group utterances, in order, into windows of at most `window_s` seconds, or of one.

    The first has at most `first_s` seconds, and each at most twice the seconds of the one before.
    """
    most_s = window_s if first_s is None else min(first_s, window_s)
    window: list[Utterance] = []
    held_s = 0.0
    for utterance in utterances:
        if window and held_s + utterance.duration > most_s:
            yield window
            window, held_s, most_s = [], 0.0, min(2 * most_s, window_s)
        window.append(utterance)
        held_s += utterance.duration
    if window:
        yield window


def _in_the_recording(utterance: Utterance, recognition: Recognition) -> UtteranceWords:
    def moved(one: _Timed) -> _Timed:
        return replace(one, start=utterance.start + one.start, end=utterance.start + one.end)

    words = tuple(map(moved, recognition.words))
    characters = tuple(tuple(map(moved, spelled)) for spelled in recognition.characters)
    return UtteranceWords(utterance.span, words, characters)


def _is_missed(utterance: Utterance, recognition: Recognition) -> bool:
    return not recognition.words and _has_sound(utterance.samples)


def _has_sound(samples: Samples) -> bool:
    """Tell whether more than `SOUND_S` is louder than `SOUND_DBFS`, by frames of 10 ms."""
    frame = SAMPLE_RATE // 100
    level = np.square(samples[: len(samples) // frame * frame].reshape(-1, frame)).mean(axis=1)
    return bool(np.count_nonzero(level > 10 ** (SOUND_DBFS / 10)) * 0.01 > SOUND_S)


def _start(piece: UtteranceWords) -> float:
    return piece.span.start


def _joined(
    words: Iterable[UtteranceWords], missed: Sequence[Span], language: str | None
) -> Transcription:
    in_order = sorted(words, key=_start)
    joined, characters = join_words(in_order)
    warnings = tuple(_warnings([one.span for one in in_order], frozenset(missed)))
    return Transcription(joined, characters, language, warnings)


def _warnings(spans: Iterable[Span], missed: frozenset[Span]) -> Iterator[str]:
    """Name each stretch of sound in which no word was found."""
    for is_missed, group in itertools.groupby(spans, key=missed.__contains__):
        stretch = list(group)
        if is_missed:
            where = f"between {stretch[0].start:.1f} s and {stretch[-1].end:.1f} s"
            yield f"no words were found {where}, where there is sound; it may be music or noise"
