"""A real single worker in the production loop: its first job, then wrong inputs.

Each of these gets its own code and a sentence, and the next job is answered.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.server import Server
from tests.handlers.test_workers import DIALOGUE, EMBEDDED
from tests.launched import Launched, launched
from tests.media import encode, film, gives, host, redirects, silent_film, status, tone, write_wav

MAX_AUDIO_DURATION_S = 90
MAX_AUDIO_BYTES = 1_500_000
DOWNLOAD_TIMEOUT_S = 2
SECRET = "X-Amz-Signature=c0ffee"
Input = dict[str, Any]


def inline(data: bytes) -> Input:
    """The bytes as base64 input."""
    return {"audio_base64": base64.b64encode(data).decode()}


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """A loopback host that does what the path says; the URL's query carries a secret that must come
    up nowhere.
    """
    answers = {
        "drip": lambda visit: (visit.head(), visit.drip(b"R"))[0],
        "endless": lambda visit: (visit.head(), visit.drip(bytes(65_536)))[0],
        "page": gives(b"<!doctype html><title>Sign in</title>"),
        "metadata": redirects("http://169.254.169.254/latest/meta-data/"),
        **{str(code): status(code) for code in (403, 404, 503)},
    }
    with host() as running:
        for name, answer in answers.items():
            url = running.url(f"/{name}?{SECRET}", answer)
        yield url.rsplit("/", 1)[0]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The platform."""
    with Server() as running:
        yield running


@pytest.fixture(scope="module")
def temp_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The worker's TEMP_DIR."""
    return tmp_path_factory.mktemp("wrong") / "jobs"


@pytest.fixture(scope="module")
def worker(server: Server, temp_dir: Path) -> Iterator[Launched]:
    """One single worker for all the wrong inputs; loopback URLs are allowed, as an operator can."""
    with launched(
        server,
        "handlers.single",
        temp_dir.parent,
        TEMP_DIR=str(temp_dir),
        MAX_AUDIO_DURATION=str(MAX_AUDIO_DURATION_S),
        MAX_AUDIO_BYTES=str(MAX_AUDIO_BYTES),
        DOWNLOAD_TIMEOUT=str(DOWNLOAD_TIMEOUT_S),
        RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS="true",
        **EMBEDDED,
    ) as running:
        yield running
    assert running.exit_codes == {0}


Make = Callable[[str, Path], Any]
"""From the loopback host's base URL and a scratch folder to an input."""


def url(path: str) -> Make:
    """An input that names the loopback host, with a secret in the query."""
    return lambda base, _folder: {"audio_url": f"{base}/{path}?{SECRET}"}


def given(job_input: Any) -> Make:
    """An input that needs nothing."""
    return lambda _base, _folder: job_input


def file(make: Callable[[Path], Path], keep: int | None = None, **fields: object) -> Make:
    """A recording made for the test, or its first `keep` bytes, and other fields."""
    return lambda _base, folder: {**inline(make(folder).read_bytes()[:keep]), **fields}


def known(audio: str | None = None, **embedding: object) -> Input:
    """The dialogue, and somebody known by this recording or vector."""
    voice = {"embedding": embedding} if audio is None else {"audio": audio}
    return {**inline(DIALOGUE.read_bytes()), "known_speakers": [{"name": "Ada", **voice}]}


def silent_voice(_base: str, folder: Path) -> Input:
    """A recording of nobody."""
    silence = write_wav(folder / "silence.wav", 0 * tone(5))
    return known(base64.b64encode(silence.read_bytes()).decode())


GOOD = {"audio_base64": "UklGRg=="}
WRONG: dict[str, tuple[str, str, Make]] = {
    "an empty input": ("invalid_request", "exactly one of", given({})),
    "no input": ("invalid_request", "exactly one of", given(None)),
    "no source": ("invalid_request", "exactly one of", given({"language": "en"})),
    "two sources": (
        "invalid_request",
        "exactly one of",
        given({**GOOD, "audio_url": "https://example.com/a.mp3"}),
    ),
    "input is a list": ("invalid_request", "JSON object", given([1])),
    "unknown field": (
        "invalid_request",
        "did you mean num_speakers",
        given({**GOOD, "num_speaker": 2}),
    ),
    "audio is a number": ("invalid_request", "audio", given({"audio": 5})),
    "audio is empty": ("invalid_request", "empty", given({"audio": "  "})),
    "audio_url is no URL": ("invalid_request", "audio_url", given({"audio_url": "recording.mp3"})),
    "audio_base64 is a URL": (
        "invalid_request",
        "audio_url",
        given({"audio_base64": "https://example.com/a.mp3"}),
    ),
    "audio_format is a number": (
        "invalid_request",
        "audio_format",
        given({**GOOD, "audio_format": 3}),
    ),
    "response_format unknown": (
        "invalid_request",
        "response_format",
        given({**GOOD, "response_format": "xml"}),
    ),
    "timestamps is text": ("invalid_request", "timestamps", given({**GOOD, "timestamps": "yes"})),
    "diarize is text": ("invalid_request", "diarize", given({**GOOD, "diarize": "no"})),
    "num_speakers is zero": ("invalid_request", "num_speakers", given({**GOOD, "num_speakers": 0})),
    "num_speakers is text": (
        "invalid_request",
        "num_speakers",
        given({**GOOD, "num_speakers": "two"}),
    ),
    "min over max": (
        "invalid_request",
        "min_speakers",
        given({**GOOD, "min_speakers": 3, "max_speakers": 2}),
    ),
    "num and min": (
        "invalid_request",
        "not both",
        given({**GOOD, "num_speakers": 3, "min_speakers": 2}),
    ),
    "start is negative": ("invalid_request", "start", given({**GOOD, "start": -1})),
    "end before start": (
        "invalid_request",
        "end must be after start",
        given({**GOOD, "start": 5, "end": 4}),
    ),
    "another role's field": (
        "invalid_request",
        "unknown field",
        given({**GOOD, "diarization_segments": []}),
    ),
    "language unknown": ("unsupported_language", "one of en", given({**GOOD, "language": "de"})),
    "base64 garbage": ("invalid_base64", "base64", given({"audio_base64": "%%% no base64 %%%"})),
    "a path": ("invalid_base64", "base64", given({"audio": "../../etc/passwd"})),
    "data URI not base64": ("invalid_base64", "data:", given({"audio": "data:audio/wav,abc"})),
    "file URL": ("invalid_url", "file", given({"audio_url": "file:///etc/passwd"})),
    "URL without host": ("invalid_url", "host", given({"audio_url": "http://"})),
    "s3 without settings": (
        "storage_not_configured",
        "S3_ACCESS_KEY",
        given({"audio": "s3://bucket/key.mp3"}),
    ),
    "no bytes": ("empty_audio", "no bytes", given({"audio": "data:audio/wav;base64,"})),
    "text as audio": (
        "unsupported_audio",
        "supported format",
        given(inline(b"Dear all, here is the recording.\n" * 9)),
    ),
    "playlist as audio": (
        "unsupported_audio",
        "supported format",
        given(inline(b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n")),
    ),
    "wav without samples": (
        "empty_audio",
        "no sound",
        file(lambda folder: write_wav(folder / "a.wav", tone(0))),
    ),
    "mp3 cut to nothing": ("damaged_audio", "damaged", given(inline(DIALOGUE.read_bytes()[:150]))),
    "mp4 without its index": (
        "damaged_audio",
        "damaged",
        file(lambda folder: film(folder / "a.mp4", tone(3)), keep=3000),
    ),
    "film without sound": (
        "no_audio_track",
        "no sound track",
        file(lambda folder: silent_film(folder / "a.mp4")),
    ),
    "too long": (
        "audio_too_long",
        "longer than 90 s",
        file(lambda folder: encode(folder / "a.flac", tone(95))),
    ),
    "a voice without speech": (
        "voice_too_short",
        "known_speakers.0.audio: the audio has 0.0 s of speech",
        silent_voice,
    ),
    "a voice that is a page": (
        "unsupported_audio",
        "known_speakers.0.audio: ",
        lambda base, _folder: known(f"{base}/page?{SECRET}"),
    ),
    "a vector of another model": (
        "invalid_request",
        "known_speakers.0.embedding: the vector is of the model other-1, and the worker has XVec",
        given(known(model="other-1", vector=[1.0])),
    ),
    "start behind the end": (
        "range_outside_audio",
        "start",
        file(lambda folder: encode(folder / "a.flac", tone(1)), start=60),
    ),
    "too large inline": (
        "source_too_large",
        "1,500,000 bytes",
        given(inline(bytes(MAX_AUDIO_BYTES + 3))),
    ),
    "too large download": ("source_too_large", "1,500,000 bytes", url("endless")),
    "404": ("download_failed", "404", url("404")),
    "403": ("download_failed", "403", url("403")),
    "503": ("download_interrupted", "503", url("503")),
    "a page, not a file": ("unsupported_audio", "supported format", url("page")),
    "a host that drips": ("download_timed_out", "2 s", url("drip")),
    "redirect to the metadata service": ("blocked_address", "not public", url("metadata")),
    "the metadata service": (
        "blocked_address",
        "not public",
        given({"audio_url": "http://169.254.169.254/latest/"}),
    ),
}


def test_the_production_loop_takes_a_job_after_its_fitness_check(
    worker: Launched, temp_dir: Path
) -> None:
    """It rehearses, takes a job, reports progress and posts the answer."""
    worker.submit("first", inline(DIALOGUE.read_bytes()))
    result = worker.result("first")
    assert result["output"]["success"] is True
    assert "fitness: the rehearsal took" in worker.log
    assert list(temp_dir.iterdir()) == []
    *progress, last = worker.posts("first")
    assert all(post["status"] == "IN_PROGRESS" for post in progress)
    assert last == result


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_input_gets_its_code_and_a_sentence(
    worker: Launched, temp_dir: Path, base: str, tmp_path: Path, name: str
) -> None:
    """The error begins with the code, says what is wrong, and nothing of the job is left."""
    code, words, make = WRONG[name]
    worker.submit(name, make(base, tmp_path))
    result = worker.result(name)
    assert result["error"].startswith(f"{code}: ")
    assert words in result["error"]
    assert "output" not in result
    assert not temp_dir.exists() or list(temp_dir.iterdir()) == []


def test_the_worker_answers_a_good_job_after_all_of_them(worker: Launched, temp_dir: Path) -> None:
    """Nothing of the above costs the worker anything: the dialogue is transcribed, and no secret
    stands in the log.
    """
    worker.submit("good", {**inline(DIALOGUE.read_bytes()), "end": 15})
    output = worker.result("good")["output"]
    assert output["success"] is True
    assert output["text"]
    assert list(temp_dir.iterdir()) == []
    assert SECRET not in worker.log


def test_a_recording_cut_short_is_transcribed_with_a_warning(worker: Launched) -> None:
    """An mp3 that was cut in the middle gives the words that are there and says that it is not
    all.
    """
    data = DIALOGUE.read_bytes()
    worker.submit("half", inline(data[: len(data) // 2]))
    output = worker.result("half")["output"]
    assert output["text"]
    assert any("cut short" in warning for warning in output["warnings"])
