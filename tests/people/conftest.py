"""What tests on people share: the folder of `make people`, and one worker of each kind."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.local_api import LocalWorker
from tests.people.asking import Worker
from tests.people.places import People, people


def found(look: Callable[[], Path | str]) -> Path:
    """Return what a look into the folder finds; fail with a sentence if it finds nothing."""
    try:
        return Path(look())
    except FileNotFoundError as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture(scope="session")
def made() -> People:
    """The folder of `make people`."""
    folder = people()
    found(lambda: folder.recordings)
    return folder


@pytest.fixture(scope="session")
def people_speech() -> Path:
    """Whisper base, multilingual: a folder that MODEL_ID takes."""
    return found(lambda: people().speech)


@pytest.fixture(scope="session")
def people_speech_en() -> Path:
    """Whisper tiny.en: a folder that MODEL_ID takes."""
    return found(lambda: people().speech_en)


@pytest.fixture(scope="session")
def people_speakers() -> Path:
    """segmentation-3.0 and CAM++: a folder that DIARIZATION_MODEL_ID takes."""
    return found(lambda: people().speakers)


@pytest.fixture(scope="session")
def call(made: People) -> Path:
    """The telephone call of two women."""
    return found(lambda: made.recording("call"))


@pytest.fixture(scope="session")
def reading(made: People) -> Path:
    """A sentence of Austen's, read aloud."""
    return found(lambda: made.recording("austen-0870"))


def started(folder: Path, role: str, **environment: str) -> Iterator[Worker]:
    """Run a worker behind the SDK's local API, with one thread for each model."""
    worker = LocalWorker(
        f"handlers.{role}",
        folder / "log.txt",
        OMP_NUM_THREADS="1",
        PYTHONPATH=people().python_path,
        **environment,
    )
    try:
        worker.wait_until_up()
        yield Worker(worker.url)
    finally:
        worker.stop()


@pytest.fixture(scope="session")
def diarization(
    people_speakers: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Worker]:
    """The diarization worker on the real speaker models."""
    folder = tmp_path_factory.mktemp("diarization")
    yield from started(folder, "diarization", DIARIZATION_MODEL_ID=str(people_speakers))


@pytest.fixture(scope="session")
def single(
    people_speech: Path, people_speakers: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Worker]:
    """The single worker on Whisper base and the real speaker models."""
    models = {"MODEL_ID": str(people_speech), "DIARIZATION_MODEL_ID": str(people_speakers)}
    yield from started(tmp_path_factory.mktemp("single"), "single", **models)


@pytest.fixture(scope="session")
def english(people_speech_en: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """The transcription worker on Whisper tiny.en."""
    folder = tmp_path_factory.mktemp("english")
    yield from started(folder, "transcription", MODEL_ID=str(people_speech_en))


@pytest.fixture(scope="session")
def parakeet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """The transcription worker on the embedded Parakeet."""
    yield from started(tmp_path_factory.mktemp("parakeet"), "transcription", MODEL_ID="embedded")


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """A function that has espeak-ng say a text with a voice, and returns the wav."""
    if not shutil.which("espeak-ng"):
        pytest.fail("there is no espeak-ng: apt-get install espeak-ng", pytrace=False)
    folder = tmp_path_factory.mktemp("spoken")

    def say(voice: str, text: str) -> Path:
        path = folder / f"{voice}-{abs(hash(text))}.wav"
        subprocess.run(["espeak-ng", "-v", voice, "-s", "165", "-w", path, text], check=True)
        return path

    return say
