"""Utterances to words: the embedded model on recordings whose words are known, and the batches
around any model.
"""

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import jiwer
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.domain.request import Decoding
from core.domain.timeline import Transcription, Word
from core.errors import Cancelled, ModelFailed, OutOfMemory, UnsupportedLanguage
from core.media.audio import SAMPLE_RATE, Samples
from core.media.cutting import Utterance, utterances
from core.modelstore import display_name, find_speech_model
from core.speech.engine import Abilities, Guess, Recognition, SpeechEngine
from core.speech.language_names import NAMES
from core.speech.languages import EUROPEAN, language_code
from core.speech.parakeet import ParakeetModel
from core.speech.transcriber import FIRST_WINDOW_S, WINDOW_BATCHES, BatchTranscriber
from tests import golden


def transcribe(
    transcriber: BatchTranscriber,
    pieces: Iterable[Utterance],
    *,
    language: str | None = None,
    progress: Callable[[float], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
    duration_s: float | None = None,
) -> Transcription:
    """Call with nobody watching unless told otherwise."""
    return transcriber.transcribe(
        pieces,
        decoding=transcriber.prepared(Decoding(language)),
        progress=progress,
        cancelled=cancelled,
        duration_s=duration_s,
    )


FRAME_S = 0.08
"""Times are multiples of it; rounding errors, which depend on the batch, may tip one of two equally
likely frames.
"""


def normalised(text: str) -> str:
    """Lower case, without punctuation."""
    return "".join(letter for letter in text.lower() if letter.isalnum() or letter in " '")


# --- the embedded model ---


def _embedded(batch_s: float | None = None) -> BatchTranscriber:
    path = find_speech_model("embedded").path
    return BatchTranscriber(
        lambda: ParakeetModel(path, device="cpu"),
        name="embedded",
        batch_s=batch_s,
    )


@pytest.fixture(scope="module")
def parakeet() -> BatchTranscriber:
    """The embedded model."""
    return _embedded()


@pytest.fixture(scope="module")
def phrases() -> list[Utterance]:
    """The dialogue, cut by hand between its sentences into utterances of different lengths."""
    samples = golden.load("dialogue").waveform.samples
    cuts = (0.0, 2.5, 9.8, 13.0, 17.1, 22.3)
    return [
        Utterance(samples[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)], start)
        for start, end in itertools.pairwise(cuts)
    ]


@pytest.fixture(scope="module")
def answer(parakeet, phrases) -> Transcription:
    """What is said in the dialogue."""
    return transcribe(parakeet, phrases)


@pytest.mark.parametrize("name", ["sentences", "dialogue"])
def test_words_of_a_known_recording_are_found(parakeet, name):
    """The text of recordings that the model was not trained on comes out, in its language."""
    known = golden.load(name)
    answer = transcribe(parakeet, utterances([known.waveform.samples]))
    assert (
        jiwer.wer(normalised(known.text), normalised(" ".join(word.text for word in answer.words)))
        < 0.25
    )
    assert answer.language == "en"
    assert answer.warnings == ()


def test_words_are_found_at_their_times(answer):
    """Every word that was understood begins within a quarter of a second of where it was said."""
    known = golden.load("dialogue").words
    aligned = jiwer.process_words(
        normalised(" ".join(word.text for word in known)),
        normalised(" ".join(word.text for word in answer.words)),
    ).alignments[0]
    pairs = [
        (known[chunk.ref_start_idx + offset], answer.words[chunk.hyp_start_idx + offset])
        for chunk in aligned
        if chunk.type == "equal"
        for offset in range(chunk.ref_end_idx - chunk.ref_start_idx)
    ]
    assert len(pairs) > 15
    assert max(abs(said.start - heard.start) for said, heard in pairs) < 0.25


def test_words_are_in_order_and_complete(answer):
    """Starts rise, confidences are probabilities, and the characters spell the words."""
    words = answer.words
    assert [word.start for word in words] == sorted(word.start for word in words)
    assert all(0 <= word.start <= word.end <= 22.4 for word in words)
    assert all(0 <= word.confidence <= 1 for word in words)
    assert "".join(character.text for character in answer.characters) == "".join(
        word.text for word in words
    )


def test_batches_do_not_change_the_words(parakeet, phrases, answer):
    """One by one, in one batch, or in several of mixed lengths: the same words, at times no more
    than two frames apart.
    """
    for batch_s in (1.0, 16.0):
        found = transcribe(_embedded(batch_s), phrases)
        assert [word.text for word in found.words] == [word.text for word in answer.words]
        for times in (lambda word: word.start, lambda word: word.end):
            apart = np.abs(
                np.subtract(
                    [times(word) for word in found.words], [times(word) for word in answer.words]
                )
            )
            assert apart.max() < 2.5 * FRAME_S


class Sharing:
    """The embedded model; its first batch lasts until it is let go, and of each it is known how
    many utterances it had.
    """

    device = "cpu"
    window_s = 0.0
    abilities = Abilities()

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.goes = threading.Event()
        self._model = ParakeetModel(find_speech_model("embedded").path, device="cpu")

    def recognise(self, arrays: Sequence[Samples], decoding: Decoding) -> list[Recognition]:
        """Wait the first time, then decode."""
        self.sizes.append(len(arrays))
        assert self.goes.wait(60)
        return self._model.recognise(arrays, decoding)


def test_two_jobs_at_once_share_a_batch_and_hear_their_own_words(parakeet, phrases, answer):
    """In the company of another recording as alone: the same words, at the same times but for a
    frame.
    """
    other = [Utterance(samples, 0.0) for samples in [golden.load("sentences").waveform.samples]]
    alone = transcribe(parakeet, other)
    model = Sharing()
    transcriber = around(model, batch_s=100.0)
    with ThreadPoolExecutor(3) as pool:
        # The first holds the model until both others have been put into the queue.
        jobs = [start(pool, transcriber, job) for job in (pieces([1.0]), other, phrases)]
        model.goes.set()
        _, *found = [job.result() for job in jobs]
    # Three phrases are of like length as the sentences, two are shorter. Then come second looks.
    assert model.sizes[:3] == [1, 4, 2]
    for one, expected in zip(found, (alone, answer), strict=True):
        assert [word.text for word in one.words] == [word.text for word in expected.words]
        assert np.allclose(
            [word.start for word in one.words],
            [word.start for word in expected.words],
            atol=FRAME_S + 1e-6,
        )


def start(
    pool: ThreadPoolExecutor, transcriber: BatchTranscriber, job: Iterable[Utterance]
) -> Future[Transcription]:
    """Begin a job and return when its utterances are in the queue: then it asks for the first time
    whether it is cancelled.
    """
    waits = threading.Event()
    future = pool.submit(transcribe, transcriber, job, cancelled=lambda: bool(waits.set()))
    assert waits.wait(60)
    return future


def test_silence_has_neither_words_nor_warnings(parakeet):
    """A minute of silence is nothing to tell of."""
    silence = np.zeros(60 * SAMPLE_RATE, np.float32)
    assert transcribe(parakeet, utterances([silence])) == Transcription((), language="en")


# --- the batches around any model ---


class Counting:
    """A speech model that hears in every utterance one word: how many samples it has."""

    device = "cpu"
    window_s = 0.0
    abilities = Abilities()

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def recognise(self, arrays: Sequence[Samples], decoding: Decoding) -> list[Recognition]:
        """Say the number of samples in the middle of the utterance."""
        self.batches.append([len(samples) for samples in arrays])
        middles = [len(samples) / SAMPLE_RATE / 2 for samples in arrays]
        return [
            Recognition((Word(at, at, str(len(samples))),), ((),))
            for at, samples in zip(middles, arrays, strict=True)
        ]


class Deaf(Counting):
    """A speech model that never hears anything."""

    def recognise(self, arrays: Sequence[Samples], decoding: Decoding) -> list[Recognition]:
        """Say nothing."""
        super().recognise(arrays, decoding)
        return [Recognition() for _ in arrays]


class Hungry(Counting):
    """A speech model whose memory holds so many utterances at a time; torch's own allocator gives
    the error.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity

    def recognise(self, arrays: Sequence[Samples], decoding: Decoding) -> list[Recognition]:
        """Count, or ask for a petabyte."""
        if len(arrays) > self.capacity:
            torch.empty(1 << 50)
        return super().recognise(arrays, decoding)


class Faulty(Counting):
    """A speech model on a GPU that has failed."""

    def recognise(self, arrays: Sequence[Samples], decoding: Decoding) -> list[Recognition]:
        """Fail as CUDA does."""
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")


class Polyglot(Counting):
    """A model that hears German, but a short stretch of it as Dutch if it is not told."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int, str | None]] = []

    def recognise(self, arrays: Sequence[Samples], decoding: Decoding) -> list[Recognition]:
        """Say the language in which it was heard."""
        self.asked += [(len(samples), decoding.language) for samples in arrays]
        return [self._heard(len(samples) / SAMPLE_RATE, decoding.language) for samples in arrays]

    def _heard(self, duration_s: float, told: str | None) -> Recognition:
        code = told or ("nl" if duration_s < 5 else "de")
        guess = None if told else Guess(code, 0.9 if code == "de" else 0.5)
        return Recognition((Word(0.0, duration_s, code),), guess=guess)


def around(
    model: SpeechEngine, *, batch_s: float = 10.0, model_id: str = "some/model"
) -> BatchTranscriber:
    """A transcriber around a model."""
    return BatchTranscriber(lambda: model, name=model_id, batch_s=batch_s)


def pieces(durations_s: Iterable[float], level: float = 0.0) -> Iterator[Utterance]:
    """Utterances one after the other, of a tone of the given level."""
    start = 0.0
    for duration_s in durations_s:
        samples = np.zeros(round(duration_s * SAMPLE_RATE), np.float32)
        if level:
            samples += (level * np.sqrt(2) * np.sin(np.arange(len(samples)))).astype(np.float32)
        yield Utterance(samples, start)
        start += duration_s


DURATIONS_S = st.lists(st.integers(1, 300).map(lambda tenths: tenths / 10), max_size=12)


@given(DURATIONS_S, st.floats(1, 60))
def test_every_utterance_is_decoded_once_in_batches_of_bounded_size(durations_s, batch_s):
    """No batch, padding included, is longer than it may be, unless one utterance is; the words come
    back in time's order.
    """
    model = Counting()
    answer = transcribe(around(model, batch_s=batch_s), pieces(durations_s))
    assert [word.text for word in answer.words] == [
        str(round(duration_s * SAMPLE_RATE)) for duration_s in durations_s
    ]
    assert all(
        len(batch) == 1 or len(batch) * max(batch) / SAMPLE_RATE <= batch_s + 1e-6
        for batch in model.batches
    )


def test_utterances_of_a_batch_have_like_lengths():
    """What comes long and short in turn is sorted, so that nothing is padded."""
    model = Counting()
    transcribe(around(model, batch_s=40), pieces([10, 20] * 3))
    assert model.batches == [
        [20 * SAMPLE_RATE] * 2,
        [20 * SAMPLE_RATE, *[10 * SAMPLE_RATE]],
        [10 * SAMPLE_RATE] * 2,
    ]


def test_only_a_few_batches_of_a_long_recording_are_held():
    """What a generator gives is decoded before much more is asked of it."""
    model, given_s = Counting(), []

    def stream() -> Iterator[Utterance]:
        for utterance in pieces([5.0] * 100):
            decoded_s = sum(map(sum, model.batches)) / SAMPLE_RATE
            given_s.append(utterance.end - decoded_s)
            yield utterance

    transcribe(around(model, batch_s=20), stream())
    assert max(given_s) <= WINDOW_BATCHES * 20 + 5


def test_one_who_listens_hears_the_words_in_order_and_the_beginning_soon():
    """After the first utterance, when little else is decoded; all words are told once, the last of
    them when nothing can follow.
    """
    model, told = Counting(), []

    def heard(words: tuple[Word, ...]) -> None:
        told.append((words, sum(map(sum, model.batches)) / SAMPLE_RATE))

    durations_s = [20.0 + index / 10 for index in range(30)]
    answer = around(model, batch_s=200).transcribe(
        pieces(durations_s),
        decoding=Decoding(),
        progress=lambda _: None,
        cancelled=lambda: False,
        heard=heard,
    )
    assert tuple(word for words, _ in told for word in words) == answer.words
    assert [len(words) for words, _ in told] == [1, 2, 5, 9, 9, 4]
    assert told[0][1] <= FIRST_WINDOW_S


def test_nobody_is_told_of_silence():
    """A window without words is no call."""
    told: list[tuple[Word, ...]] = []
    around(Deaf()).transcribe(
        pieces([5.0] * 8),
        decoding=Decoding(),
        progress=lambda _: None,
        cancelled=lambda: False,
        heard=told.append,
    )
    assert told == []


def test_progress_rises_to_one():
    """By the seconds decoded, of a sequence or of a generator whose length is told; of another only
    the end is known.
    """
    for utterances_, duration_s in ((list(pieces([5] * 8)), None), (pieces([5] * 8), 40.0)):
        fractions: list[float] = []
        transcribe(
            around(Counting()), utterances_, progress=fractions.append, duration_s=duration_s
        )
        assert fractions == [0.25, 0.5, 0.75, 1.0, 1.0]
    fractions = []
    transcribe(around(Counting()), pieces([5] * 8), progress=fractions.append)
    assert fractions == [1.0]


def test_cancel_ends_the_job_before_the_next_batch():
    """What is running ends, nothing more is begun."""
    model = Counting()
    with pytest.raises(Cancelled):
        transcribe(around(model), pieces([5] * 8), cancelled=lambda: len(model.batches) >= 2)
    assert len(model.batches) == 2


@pytest.mark.parametrize("capacity", [1, 3, 8])
def test_out_of_memory_halves_the_batch_and_keeps_what_is_done(capacity):
    """However much the memory holds: every utterance is decoded exactly once, and the words are
    those of a large GPU.
    """
    durations_s = [5, 4, 3, 2, 5, 4, 3, 2]
    model = Hungry(capacity)
    answer = transcribe(around(model, batch_s=1000), pieces(durations_s))
    assert answer == transcribe(around(Counting()), pieces(durations_s))
    assert sorted(itertools.chain(*model.batches)) == sorted(
        duration_s * SAMPLE_RATE for duration_s in durations_s
    )
    assert max(map(len, model.batches)) <= capacity


def test_out_of_memory_on_one_utterance_is_an_error():
    """There is nothing left to halve."""
    with pytest.raises(OutOfMemory, match="on one utterance"):
        transcribe(around(Hungry(0)), pieces([5, 5]))


def test_failing_gpu_replaces_the_worker():
    """The process can no longer be trusted."""
    with pytest.raises(ModelFailed) as caught:
        transcribe(around(Faulty()), pieces([5]))
    assert caught.value.refresh_worker


def test_error_of_the_source_is_passed_on():
    """A recording that breaks off while it is read is not the model's failure."""

    def broken() -> Iterator[Utterance]:
        yield from pieces([5])
        raise ValueError("the stream broke")

    with pytest.raises(ValueError, match="the stream broke"):
        transcribe(around(Counting()), broken())


def test_a_job_that_reads_holds_up_nobody_and_its_broken_source_is_its_own():
    """While one job waits for its source the other is transcribed; the source then breaks, and only
    its job fails.
    """
    model, reads_on = Counting(), threading.Event()
    transcriber = around(model, batch_s=10)

    def slow() -> Iterator[Utterance]:
        yield from pieces([5] * 7)
        assert reads_on.wait(60)
        raise ValueError("the stream broke")

    with ThreadPoolExecutor(1) as pool:
        broken = start(pool, transcriber, slow())
        assert len(transcribe(transcriber, pieces([5] * 20)).words) == 20
        assert not broken.done()
        reads_on.set()
        with pytest.raises(ValueError, match="the stream broke"):
            broken.result()


def test_sound_without_words_is_told_once_for_each_stretch():
    """Neighbouring utterances are one stretch; what is quiet, or short, is not mentioned."""
    loud, quiet = 0.1, 0.001
    levels = [loud, loud, quiet, loud, quiet]
    heard = [next(pieces([4.0], level)) for level in levels]
    placed = [Utterance(utterance.samples, index * 4.0) for index, utterance in enumerate(heard)]
    short = Utterance(next(pieces([0.5], loud)).samples, 20.0)
    first, second = transcribe(around(Deaf()), [*placed, short]).warnings
    assert "between 0.0 s and 8.0 s" in first
    assert "between 12.0 s and 16.0 s" in second
    assert transcribe(around(Counting()), placed).warnings == ()


# --- languages ---


@pytest.mark.parametrize(
    ("model_id", "language", "code"),
    [
        ("nvidia/parakeet-tdt-0.6b-v2", None, "en"),
        ("nvidia/parakeet-tdt-0.6b-v2", "en-US", "en"),
        ("embedded", "EN", "en"),
        ("embedded", " en_GB ", "en"),
        ("/models/parakeet-tdt-0.6b-v2.nemo", None, "en"),
        ("nvidia/parakeet-tdt-0.6b-v2", "English", "en"),
        ("embedded", "eng", "en"),
        ("nvidia/parakeet-tdt-0.6b-v3", None, None),
        ("nvidia/parakeet-tdt-0.6b-v3", "GERMAN", "de"),
        ("nvidia/parakeet-tdt-0.6b-v3", "français", "fr"),
        ("nvidia/parakeet-tdt-0.6b-v3", "dut", "nl"),
        ("nvidia/parakeet-tdt-0.6b-v3", "de", "de"),
        ("nvidia/parakeet-tdt_ctc-0.6b-ja", "ja", "ja"),
        ("somebody/else", None, None),
    ],
)
def test_language_is_the_one_given_or_the_only_one_there_is(model_id, language, code):
    """English models are English; the European one tells nothing by itself; others take what they
    are given as a label.
    """
    transcriber = around(Counting(), model_id=model_id)
    assert transcriber.prepared(Decoding(language)) == Decoding(code)
    assert transcribe(transcriber, [], language=language).language == code


@pytest.mark.parametrize(
    ("model_id", "language", "known"),
    [
        ("nvidia/parakeet-tdt-0.6b-v2", "de", "give one of en"),
        ("nvidia/parakeet-tdt-0.6b-v2", "German", "language 'German' is not known to .*v2"),
        ("embedded", "englisch", "give one of en"),
        ("nvidia/parakeet-tdt-0.6b-v3", "ja", ", ".join(sorted(EUROPEAN))),
    ],
)
def test_language_that_the_model_lacks_is_refused_with_the_ones_it_has(model_id, language, known):
    """The message lists what may be asked for."""
    with pytest.raises(UnsupportedLanguage, match=known):
        around(Counting(), model_id=model_id).prepared(Decoding(language))


def test_path_of_the_model_is_not_in_the_message():
    """A model that the operator gave by its path is named by its file alone."""
    name = display_name("/srv/private/parakeet-tdt-0.6b-v2.nemo")
    with pytest.raises(UnsupportedLanguage) as caught:
        around(Counting(), model_id=name).prepared(Decoding("de"))
    assert "private" not in str(caught.value)


def test_every_language_is_known_by_its_names():
    """Each has codes and names of its own; no name is another language's."""
    names = [name for group in NAMES.values() for name in group.split()]
    assert len({*names, *NAMES}) == len(names) + len(NAMES)
    for code, group in NAMES.items():
        assert {language_code(name, frozenset(NAMES), "v3") for name in group.split()} == {code}


def test_languages_of_all_models_have_names():
    """Those of Parakeet and of Whisper, and no other."""
    from faster_whisper.tokenizer import _LANGUAGE_CODES

    whisper = {"jv" if code == "jw" else code for code in _LANGUAGE_CODES}
    assert set(NAMES) == EUROPEAN | whisper


def test_european_model_has_25_languages():
    """As on its model card."""
    assert len(EUROPEAN) == 25


# --- detected languages ---


def test_language_of_the_recording_decides_where_a_stretch_is_doubtful():
    """It is decoded once more, in that language, which the answer names for all of it."""
    model = Polyglot()
    answer = transcribe(around(model, batch_s=60), pieces([3.0, 20.0, 20.0]))
    assert [word.text for word in answer.words] == ["de", "de", "de"]
    assert [answer.language, *(one.language for one in answer.languages)] == ["de", "de"]
    assert model.asked[-1] == (3 * SAMPLE_RATE, "de")
    assert len(model.asked) == 4


def test_words_that_are_none_in_the_language_of_the_recording_stay():
    """A doubtful stretch was in its own language after all."""

    class Strict(Polyglot):
        def _heard(self, duration_s, told):
            return Recognition() if told else super()._heard(duration_s, told)

    answer = transcribe(around(Strict(), batch_s=60), pieces([3.0, 20.0, 20.0]))
    assert [word.text for word in answer.words] == ["nl", "de", "de"]
    assert [one.language for one in answer.languages] == ["nl", "de"]


def test_given_language_is_not_put_to_the_vote():
    """Nothing is decoded twice."""
    model = Polyglot()
    answer = transcribe(around(model, batch_s=60), pieces([3.0, 20.0]), language="nl")
    assert [word.text for word in answer.words] == ["nl", "nl"]
    assert (answer.language, answer.languages, len(model.asked)) == ("nl", (), 2)
