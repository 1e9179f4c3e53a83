"""Synthetic speech with word times: flite and espeak-ng, called in process through their C
libraries.

Only what builds the embedded models and the test recordings needs this module; it wants Debian's
packages `flite`, `espeak-ng` and `sox`. A `Voice` is one synthetic person: an engine, one of its
voices, and the prosody that stays fixed for that person.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import subprocess
from dataclasses import dataclass

import numpy as np
import soxr

SAMPLE_RATE = 16_000
FLITE_VOICES = ("slt", "rms", "awb", "kal16")
ESPEAK_LANGUAGES = ("en-us", "en")
ESPEAK_VARIANTS = (
    *("m1", "m2", "m3", "m4", "m5", "m7", "m8", "f1", "f2", "f3", "f4", "f5", "klatt2", "klatt4"),
    *(
        "adam",
        "belinda",
        "benjamin",
        "david",
        "ed",
        "john",
        "linda",
        "max",
        "michael",
        "norbert",
        "steph",
        "travis",
    ),
)
PITCH_RANGE = (0.75, 1.4)
RATE_RANGE = (0.82, 1.28)
FORMANT_RANGE = (0.88, 1.15)

# Which engine's pitch control is used: flite's statistical voices ignore it, so theirs is shifted
# afterwards.
_KAL_F0_HZ = 95.0
_ESPEAK_WORDS_PER_MINUTE = 165


@dataclass(frozen=True, slots=True)
class Voice:
    """One synthetic person."""

    engine: str
    """`flite` or `espeak`."""
    name: str
    """flite: one of FLITE_VOICES; espeak: `language+variant` (espeak-ng calls British English
    `en`).
    """
    pitch: float
    """Fundamental frequency, as a factor of the voice's own."""
    rate: float
    """Speaking rate, as a factor of the voice's own."""
    formant: float
    """Factor on the whole spectrum (resampling): the length of the vocal tract, so another person.
    """


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word as written, punctuation included, with its times in seconds from the start of the
    utterance.
    """

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Utterance:
    """Speech: float32 samples of shape (n,), 16 kHz mono in -1..1, and the words in it."""

    samples: np.ndarray
    words: tuple[TimedWord, ...]


def random_voice(rng: np.random.Generator) -> Voice:
    """Draw a person: flite's natural voices more often than espeak-ng's formant voices, prosody
    from continuous ranges.
    """
    if rng.random() < 0.6:
        engine, name = "flite", str(rng.choice(FLITE_VOICES))
    else:
        engine, name = "espeak", f"{rng.choice(ESPEAK_LANGUAGES)}+{rng.choice(ESPEAK_VARIANTS)}"
    pitch, rate, formant = (
        float(np.exp(rng.uniform(*np.log(r)))) for r in (PITCH_RANGE, RATE_RANGE, FORMANT_RANGE)
    )
    return Voice(engine, name, round(pitch, 3), round(rate, 3), round(formant, 3))


def synthesise(text: str, voice: Voice) -> Utterance:
    """Speak one or more sentences; the words come back as written, one for each blank-separated
    token of `text`.

    Raises ValueError when the engine's tokens do not match the text's, RuntimeError when an engine
    fails.
    """
    speak = _flite if voice.engine == "flite" else _espeak
    # Resampling by the formant factor also speeds speech up; the engine's rate makes up for it.
    samples, rate_hz, times = speak(text, voice, voice.rate / voice.formant)
    tokens = text.split()
    if len(tokens) != len(times):
        raise ValueError(f"{voice.engine} gave {len(times)} tokens for {len(tokens)}: {text!r}")
    resampled = soxr.resample(samples, rate_hz * voice.formant, SAMPLE_RATE).astype(np.float32)
    peak = float(np.abs(resampled).max(initial=1e-6))
    words = tuple(
        TimedWord(token, round(start / voice.formant, 3), round(end / voice.formant, 3))
        for token, (start, end) in zip(tokens, times, strict=True)
    )
    return Utterance(resampled * (0.5 / peak), words)


# --- flite ---


class _Wave(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    ]


class _FliteVoice(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("features", ctypes.c_void_p)]


@functools.cache
def _flite_library() -> ctypes.CDLL:
    for dependency in ("libflite.so.1", "libflite_usenglish.so.1", "libflite_cmulex.so.1"):
        library = ctypes.CDLL(dependency, mode=ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL("libflite.so.1", mode=ctypes.RTLD_GLOBAL)
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    for name, result, *arguments in (
        ("flite_init", ctypes.c_int),
        ("flite_synth_text", pointer, text, pointer),
        ("utt_wave", ctypes.POINTER(_Wave), pointer),
        ("utt_relation", pointer, pointer, text),
        ("relation_head", pointer, pointer),
        ("item_next", pointer, pointer),
        ("item_daughter", pointer, pointer),
        ("ffeature_float", ctypes.c_float, pointer, text),
        ("feat_set_float", None, pointer, text, ctypes.c_float),
        ("delete_utterance", None, pointer),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    library.flite_init()
    return library


@functools.cache
def _flite_voice(name: str) -> _FliteVoice:
    _flite_library()
    register = getattr(ctypes.CDLL(f"libflite_cmu_us_{name}.so.1"), f"register_cmu_us_{name}")
    register.restype, register.argtypes = ctypes.POINTER(_FliteVoice), [ctypes.c_void_p]
    return register(None).contents


def _flite(
    text: str, voice: Voice, rate: float
) -> tuple[np.ndarray, float, list[tuple[float, float]]]:
    library, engine_voice = _flite_library(), _flite_voice(voice.name)
    library.feat_set_float(engine_voice.features, b"duration_stretch", 1.0 / rate)
    if voice.name == "kal16":
        library.feat_set_float(
            engine_voice.features, b"int_f0_target_mean", _KAL_F0_HZ * voice.pitch / voice.formant
        )
    utterance = library.flite_synth_text(text.encode("ascii"), ctypes.byref(engine_voice))
    if not utterance:
        raise RuntimeError(f"flite could not speak {text!r}")
    try:
        wave = library.utt_wave(utterance).contents
        samples = (
            np.ctypeslib.as_array(wave.samples, (wave.num_samples,)).astype(np.float32) / 32768
        )
        times, rate_hz = _flite_token_times(library, utterance), wave.sample_rate
    finally:
        library.delete_utterance(utterance)
    if voice.name != "kal16":
        samples = _shift_pitch(samples, rate_hz, voice.pitch / voice.formant)
    return samples, rate_hz, times


def _flite_token_times(library: ctypes.CDLL, utterance: int) -> list[tuple[float, float]]:
    times = []
    token = library.relation_head(library.utt_relation(utterance, b"Token"))
    while token:
        if library.item_daughter(token):
            start = library.ffeature_float(
                token, b"daughter.R:SylStructure.daughter.daughter.R:Segment.p.end"
            )
            end = library.ffeature_float(
                token, b"daughtern.R:SylStructure.daughtern.daughtern.R:Segment.end"
            )
            times.append((start, end))
        token = library.item_next(token)
    return times


def _shift_pitch(samples: np.ndarray, rate_hz: int, factor: float) -> np.ndarray:
    """Shift the pitch by a factor with sox, times unchanged; float32 in and out, shape (n,)."""
    raw = ["-t", "f32", "-r", str(rate_hz), "-c", "1", "-"]
    command = ["sox", "-V1", *raw, *raw, "pitch", "-q", f"{1200 * np.log2(factor):.1f}"]
    done = subprocess.run(command, input=samples.tobytes(), capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.float32)


# --- espeak-ng
# -------------------------------------------------------------------------------------------------

_EVENT_END, _EVENT_WORD, _EVENT_SENTENCE, _EVENT_PHONEME = 0, 1, 2, 7
_PHONEME_EVENTS = 1
_SYNCHRONOUS = 2
_RATE, _PITCH, _RANGE = 1, 3, 4
_UTF8 = 1


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class _Espeak:
    """The espeak-ng library of this process, collecting samples and events of one call at a
    time.
    """

    def __init__(self) -> None:
        self.library = ctypes.CDLL("libespeak-ng.so.1")
        self.rate_hz = self.library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS)
        if self.rate_hz <= 0:
            raise RuntimeError("espeak-ng could not start")
        self._callback = _Callback(self._collect)
        self.library.espeak_SetSynthCallback(self._callback)
        self._chunks: list[np.ndarray] = []
        self._events: list[tuple[int, float, int, bytes]] = []

    def _collect(
        self, samples: ctypes.Array[ctypes.c_short], count: int, events: ctypes.Array[_Event]
    ) -> int:
        if samples and count > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type != _EVENT_END:
            event = events[index]
            name = event.id.string if event.type == _EVENT_PHONEME else b""
            self._events.append(
                (event.type, event.audio_position / 1000, event.text_position, name)
            )
            index += 1
        return 0

    def speak(
        self, text: str, name: str, settings: dict[int, int]
    ) -> tuple[np.ndarray, list[tuple[int, float, int, bytes]]]:
        self._chunks, self._events = [], []
        if self.library.espeak_SetVoiceByName(name.encode()) != 0:
            raise RuntimeError(f"espeak-ng has no voice {name}")
        for parameter, value in settings.items():
            self.library.espeak_SetParameter(parameter, value, 0)
        data = text.encode("ascii") + b"\0"
        self.library.espeak_Synth(data, len(data), 0, 1, 0, _UTF8, None, None)
        self.library.espeak_Synchronize()
        samples = np.concatenate(self._chunks) if self._chunks else np.zeros(0, np.int16)
        return samples.astype(np.float32) / 32768, self._events


@functools.cache
def _espeak_engine() -> _Espeak:
    return _Espeak()


def _espeak(
    text: str, voice: Voice, rate: float
) -> tuple[np.ndarray, float, list[tuple[float, float]]]:
    settings = {
        _RATE: round(_ESPEAK_WORDS_PER_MINUTE * rate),
        _PITCH: int(np.clip(50 + 60 * np.log2(voice.pitch / voice.formant), 0, 99)),
        _RANGE: int(np.clip(50 + 60 * np.log2(voice.pitch), 15, 99)),
    }
    engine = _espeak_engine()
    samples, events = engine.speak(text, voice.name, settings)
    return samples, engine.rate_hz, _espeak_token_times(text, events, len(samples) / engine.rate_hz)


def _espeak_token_times(
    text: str, events: list[tuple[int, float, int, bytes]], duration_s: float
) -> list[tuple[float, float]]:
    """Times for each blank-separated token; a word ends where the next sounds begin or where a
    pause phoneme does. None at all if the first word has no event.
    """
    starts: dict[int, float] = {}
    spans = _token_spans(text)
    for kind, at, position, _ in events:
        if kind == _EVENT_WORD:
            token = next((i for i, (a, b) in enumerate(spans) if a <= position - 1 < b), None)
            if token is not None:
                starts.setdefault(token, at)
    pauses = sorted(
        at
        for kind, at, _, name in events
        if kind == _EVENT_PHONEME and name.startswith((b"_", b"\0"))
    )
    ordered = sorted(starts)
    if ordered[:1] != [0]:
        return []
    times = []
    for token, following in zip(ordered, [*ordered[1:], len(spans)], strict=True):
        end = starts[following] if following < len(spans) else duration_s
        pause = next((p for p in pauses if starts[token] + 0.02 < p < end), end)
        letters = [b - a for a, b in spans[token:following]]
        times += _shared_out(starts[token], pause, letters)
    return times


def _shared_out(start: float, end: float, letters: list[int]) -> list[tuple[float, float]]:
    """The times of words that espeak-ng says as one, such as "have to", by their letters."""
    bounds = start + (end - start) * np.cumsum([0, *letters]) / sum(letters)
    return [(float(a), float(b)) for a, b in itertools.pairwise(bounds)]


def _token_spans(text: str) -> list[tuple[int, int]]:
    spans, position = [], 0
    for token in text.split():
        position = text.index(token, position)
        spans.append((position, position + len(token)))
        position += len(token)
    return spans
