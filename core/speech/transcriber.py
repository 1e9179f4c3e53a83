"""Utterances to words: any number of utterances, of any number of recordings at once, through one
speech model.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from core.domain.timeline import Character, Span, Transcription, Word
from core.domain.watch import IsCancelled, Progress
from core.engine.accelerator import ModelThread
from core.errors import UnsupportedLanguage
from core.media.audio import SAMPLE_RATE, Samples
from core.media.cutting import Utterance
from core.modelstore import EMBEDDED, display_name
from core.speech.batching import Batcher
from core.speech.parakeet import ParakeetModel, Recognition
from core.transcript.seams import join_words

ENGLISH = frozenset({"en"})
EUROPEAN = frozenset(
    {"bg", "cs", "da", "de", "el", "en", "es", "et", "fi", "fr", "hr", "hu", "it"}
) | frozenset({"lt", "lv", "mt", "nl", "pl", "pt", "ro", "ru", "sk", "sl", "sv", "uk"})
"""The 25 languages on the model card of nvidia/parakeet-tdt-0.6b-v3."""
LANGUAGES = {EMBEDDED: ENGLISH, "parakeet-tdt-0.6b-v2": ENGLISH, "parakeet-tdt-0.6b-v3": EUROPEAN}
"""ISO 639-1 codes, by the last part of the model's id.

Other models take any language: it is a label.
"""

GPU_BATCH_S = 400.0
CPU_BATCH_S = 100.0
"""Seconds of audio in a batch, padding included: 16 (or 4) utterances of 25 s."""
WINDOW_BATCHES = 3
"""How many batches a job reads ahead, to be sorted by length, so that little is padded; it bounds
the memory for a long file.
"""

SOUND_DBFS = -40.0
SOUND_S = 1.0
"""An utterance with this much sound and no word is told to the caller.

Speech in a recording of usual level is at -30..-15 dBFS.
"""


def languages_of(model_id: str) -> frozenset[str] | None:
    """Look up what a model knows; None where its name does not tell."""
    return LANGUAGES.get(display_name(model_id).rpartition("/")[2].removesuffix(".nemo"))


class Transcriber(Protocol):
    """A speech model."""

    model_id: str
    languages: frozenset[str] | None
    """ISO 639-1 codes; None: any."""

    def check_language(self, language: str | None) -> str | None:
        """Give the language's code; raises UnsupportedLanguage.

        Cheap: meant to be asked before the recording is fetched.
        """
        ...

    def transcribe(
        self,
        utterances: Iterable[Utterance],
        *,
        language: str | None,
        progress: Progress,
        cancelled: IsCancelled,
        duration_s: float | None = None,
    ) -> Transcription:
        """Say what was said in the utterances of one recording, in time's order; times are those of
        the recording.

        They may come from a generator: only a few batches of them are held. `duration_s` is how
        many seconds are to come in all, for the progress; of a sequence it is known.

        Raises UnsupportedLanguage, Cancelled, OutOfMemory, ModelFailed, and what the generator
        raises.
        """
        ...


class SpeechModel(Protocol):
    """What decodes one batch of utterances. One thread calls it."""

    device: str
    """The torch device it runs on."""

    def recognise(self, arrays: Sequence[Samples]) -> list[Recognition]:
        """Decode arrays of float32 samples, shape (samples,), 16 kHz mono, -1..1; the answers come
        in the same order.
        """
        ...


class BatchTranscriber:
    """Fills batches for a model. May be called from many threads: the utterances of their jobs then
    share batches.

    What an utterance is batched with, of its own job or another, changes the last bits of what the
    model computes: it may tip one of two equally likely frames, or words. With the embedded model
    the words are the same in any company.
    """

    def __init__(
        self, load: Callable[[], SpeechModel], *, model_id: str, batch_s: float | None = None
    ) -> None:
        """Load a model; raises what `load` raises, OutOfMemory where the model does not fit,
        ModelFailed.
        """
        self.model_id = model_id
        self.languages = languages_of(model_id)
        thread = ModelThread("speech")
        model = thread.load(load)
        batch_s = batch_s or (CPU_BATCH_S if model.device == "cpu" else GPU_BATCH_S)
        self._window_s = WINDOW_BATCHES * batch_s
        self._batcher = Batcher(model.recognise, thread, batch_s=batch_s)

    def check_language(self, language: str | None) -> str | None:
        """Give the language's code: `en` for `en`, `EN` or `en-US`. See `Transcriber`."""
        if language is None:
            return (
                next(iter(self.languages))
                if self.languages is not None and len(self.languages) == 1
                else None
            )
        code = language.strip().lower().replace("_", "-").partition("-")[0]
        if self.languages is not None and code not in self.languages:
            known = ", ".join(sorted(self.languages))
            raise UnsupportedLanguage(
                f"language {language[:20]!r} is not known to {display_name(self.model_id)}: "
                f"leave it out, or give one of {known}"
            )
        return code

    def transcribe(
        self,
        utterances: Iterable[Utterance],
        *,
        language: str | None,
        progress: Progress,
        cancelled: IsCancelled,
        duration_s: float | None = None,
    ) -> Transcription:
        """See `Transcriber`."""
        code = self.check_language(language)
        if duration_s is None and isinstance(utterances, Sequence):
            duration_s = sum(utterance.duration for utterance in utterances)
        heard: list[Heard] = []
        done_s = 0.0
        for window in _windows(utterances, self._window_s):
            for decoded in self._batcher.decode(window, cancelled):
                heard += [_heard(utterance, recognition) for utterance, recognition in decoded]
                done_s += sum(utterance.duration for utterance, _ in decoded)
                if duration_s:
                    progress(min(1.0, done_s / duration_s))
        progress(1.0)
        return _join(heard, code)


class ParakeetTranscriber(BatchTranscriber):
    """NeMo's TDT, RNNT and CTC models."""

    def __init__(
        self,
        path: Path,
        *,
        model_id: str,
        device: str | None = None,
        batch_s: float | None = None,
        eager_imports: bool = False,
    ) -> None:
        """Load a `.nemo` file and try it out.

        Raises ModelNotFound where the file is no such model, OutOfMemory, ModelFailed.
        """
        super().__init__(
            lambda: ParakeetModel(path, device=device, eager_imports=eager_imports),
            model_id=model_id,
            batch_s=batch_s,
        )


@dataclass(frozen=True, slots=True)
class Heard:
    """What one utterance says, in the recording's time."""

    span: Span
    words: tuple[Word, ...]
    characters: tuple[tuple[Character, ...], ...]
    """One tuple per word."""
    is_missed: bool
    """There is sound and no word."""


def _windows(utterances: Iterable[Utterance], window_s: float) -> Iterator[list[Utterance]]:
    """Group utterances, in their order, to at most `window_s` seconds of audio."""
    window: list[Utterance] = []
    held_s = 0.0
    for utterance in utterances:
        if window and held_s + utterance.duration > window_s:
            yield window
            window, held_s = [], 0.0
        window.append(utterance)
        held_s += utterance.duration
    if window:
        yield window


def _heard(utterance: Utterance, recognition: Recognition) -> Heard:
    start = utterance.start
    return Heard(
        utterance.span,
        tuple(
            replace(word, start=start + word.start, end=start + word.end)
            for word in recognition.words
        ),
        tuple(
            tuple(replace(one, start=start + one.start, end=start + one.end) for one in spelled)
            for spelled in recognition.characters
        ),
        not recognition.words and _has_sound(utterance.samples),
    )


def _has_sound(samples: Samples) -> bool:
    """Tell whether there is more than `SOUND_S` of sound above `SOUND_DBFS`, in frames of 10 ms."""
    frame = SAMPLE_RATE // 100
    level = np.square(samples[: len(samples) // frame * frame].reshape(-1, frame)).mean(axis=1)
    return bool(np.count_nonzero(level > 10 ** (SOUND_DBFS / 10)) * 0.01 > SOUND_S)


def _join(heard: Iterable[Heard], language: str | None) -> Transcription:
    in_order = sorted(heard, key=lambda one: one.span.start)
    words, characters = join_words(in_order)
    return Transcription(words, characters, language, tuple(_warnings(in_order)))


def _warnings(heard: Iterable[Heard]) -> Iterator[str]:
    """Name the stretches of sound in which no word was found; decoding them anew belongs here
    too.
    """
    for is_missed, group in itertools.groupby(heard, key=lambda one: one.is_missed):
        spans = [one.span for one in group]
        if is_missed:
            where = f"between {spans[0].start:.1f} s and {spans[-1].end:.1f} s"
            yield f"no words were found {where}, where there is sound; it may be music or noise"
