"""From utterances to words: any number of recordings at once, with one speech model."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol, cast

from core.domain.request import Decoding
from core.domain.timeline import Transcription, Word
from core.domain.watch import Heard, IsCancelled, Progress
from core.engine.accelerator import ModelThread
from core.media.audio import Samples
from core.media.cutting import OVERLAP_S, Utterance, utterances
from core.speech.abilities import checked, known, unwritable
from core.speech.batching import Batcher, Decoded, Mixed
from core.speech.engine import Guess, MixingEngine, SpeechEngine
from core.speech.everything import Everything
from core.speech.second_look import CARE, CARE_OF_WINDOWS, SecondLook
from core.speech.text_language import text_language
from core.speech.vote import LanguageVote
from core.speech.windows import windows
from core.transcript.seams import JoinedSoFar, UtteranceWords

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


class Transcriber(Protocol):
    """A speech model that many jobs can use at once."""

    def prepared(self, decoding: Decoding) -> Decoding:
        """Return the decoding with the language that the model will use, if one is known.

        Raise UnsupportedLanguage, or InvalidRequest if the model cannot do what is asked for.
        This is cheap: call it before fetching the recording.
        """
        ...

    def cut(
        self, blocks: Iterable[Samples], *, start_s: float = 0.0, piece_s: float = 500.0
    ) -> Generator[Utterance]:
        """Cut blocks of samples into utterances as this model hears them best.

        See `core.media.cutting.utterances`.
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
        self._care = CARE_OF_WINDOWS if engine.window_s else CARE
        self._cut = windows if engine.window_s else utterances
        self._text_language = text_language(self._abilities)
        self._batcher = Batcher(
            engine.recognise,
            thread,
            batch_s=batch_s,
            least_s=engine.window_s,
            recognise_mixed=_mixed(engine),
        )

    def prepared(self, decoding: Decoding) -> Decoding:
        """See `Transcriber`."""
        return checked(decoding, self._abilities, self._name)

    def cut(
        self, blocks: Iterable[Samples], *, start_s: float = 0.0, piece_s: float = 500.0
    ) -> Generator[Utterance]:
        """See `Transcriber`."""
        return self._cut(blocks, start_s=start_s, piece_s=piece_s)

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
            duration_s = sum(utterance.span.duration for utterance in utterances)
        look = SecondLook(
            lambda pieces: self._batcher.decode(pieces, decoding, cancelled), self._care
        )
        everything = Everything()
        listener = None if heard is None else _Listener(heard)
        vote = LanguageVote()
        counted = _Counted(progress, duration_s)
        for window in self._windows(utterances, heard):
            decoded = self._decode(window, decoding, vote, counted, cancelled)
            words = everything.add(look.complete(decoded))
            if listener:
                listener.add(words)
        if listener:
            listener.end()
        progress(1.0)
        warnings = unwritable(decoding.keyterms, self._abilities.letters, self._name)
        found = everything.joined(decoding.language, warnings)
        return found if decoding.language else self._with_language(found, vote)

    def _with_language(self, found: Transcription, vote: LanguageVote) -> Transcription:
        """Tell the language that the model heard, or else that its text is in."""
        guess = None if vote.leader is None else Guess(vote.leader, vote.confidence or 0.0)
        if guess is None and self._text_language is not None:
            guess = self._text_language.guess(word.text for word in found.words)
        if guess is None:
            return found
        return replace(found, language=guess.language, language_confidence=guess.probability)

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
            counted.add(utterance.span.duration for utterance, _ in together)
        vote.count(found for _, found in decoded)
        outvoted = vote.outvoted(decoded)
        if outvoted:
            sure = replace(decoding, language=vote.leader)
            guess = Guess(str(vote.leader), vote.confidence or 0.0)
            again = {
                id(utterance): (utterance, replace(found, guess=guess))
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


def _mixed(engine: SpeechEngine) -> Mixed | None:
    return cast(MixingEngine, engine).recognise_mixed if engine.abilities.mixes_keyterms else None


class _Listener:
    """Tells one who listens the words of windows that come in order."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._joined = JoinedSoFar(OVERLAP_S)

    def add(self, window: Iterable[UtteranceWords]) -> None:
        """Tell the words that are certain after one more window, given in order."""
        self._tell([word for piece in window for word in self._joined.add(piece)])

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
