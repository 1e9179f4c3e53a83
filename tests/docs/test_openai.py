"""docs/OPENAI.md and the README's calls against a real server process on the embedded models, with
the official client, sync and async.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from openai.types.audio import (
    TranscriptionDiarized,
    TranscriptionTextDeltaEvent,
    TranscriptionTextDoneEvent,
    TranscriptionVerbose,
)

from core.settings import Settings
from handlers.openai import errors
from handlers.openai.app import App
from handlers.openai.asking import known_fields
from handlers.openai.errors import Refusal
from handlers.openai.roles import ROLES
from handlers.openai.settings import ServerSettings
from tests.docs.pages import ROOT, blocks, read, rows
from tests.docs.test_readme import block
from tests.local_api import free_port

DIALOGUE = ROOT / "examples" / "dialogue.mp3"
SHOWN = "127.0.0.1:8000"


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    """Start the server as a process."""
    inherited = {name: value for name, value in os.environ.items() if "COV_" not in name}
    with (folder / "server.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "handlers.openai", *arguments],
            cwd=ROOT,
            env={
                **inherited,
                "MODEL_ID": "embedded",
                "DIARIZATION_MODEL_ID": "embedded",
                "TEMP_DIR": str(folder / "jobs"),
                "HF_HUB_OFFLINE": "1",
                **environment,
            },
            stdout=log,
            stderr=log,
        )


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server; at the end it is told to end while it is asked, and answers all the same."""
    folder = tmp_path_factory.mktemp("server")
    port = free_port()
    process = start(folder, "--port", str(port))
    seen: list[int] = []
    try:
        while not seen or seen[-1] != 200:
            assert process.poll() is None, (folder / "server.log").read_text()
            time.sleep(0.1)
            seen += [status] if (status := ping(port)) else []
        assert seen[0] == 204
        yield f"127.0.0.1:{port}"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert list((folder / "jobs").iterdir()) == []
        assert "Traceback" not in (folder / "server.log").read_text()
    finally:
        process.kill()


def ping(port: int) -> int | None:
    """Ask as RunPod's load balancer does."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=10) as reply:
            return int(reply.status)
    except OSError:
        return None


def run(command: list[str]) -> str:
    """Run a command in the repository and return what it prints."""
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def client(address: str) -> openai.OpenAI:
    """The official client."""
    return openai.OpenAI(base_url=f"http://{address}/v1", api_key="any", max_retries=0)


def test_the_readmes_calls_print_a_transcript_with_speakers(address: str) -> None:
    """As they stand there: the text, a line for each segment, and the text again as it comes."""
    code = block("python", "OpenAI(").replace(SHOWN, address)
    text, *segments, streamed = run([sys.executable, "-c", code]).splitlines()
    assert text == streamed
    assert text.startswith("Can I ask you something about")
    assert {line.split()[0] for line in segments} == {"1", "2", "3"}
    assert " ".join(line.split(" ", 1)[1] for line in segments) == text


def test_the_guides_commands_answer(address: str) -> None:
    """Each curl, in what it promises: JSON, subtitles, events, figures."""
    (page,) = [one for one in blocks("OPENAI") if "curl" in one.text]
    printed = [run(["bash", "-c", line.replace(SHOWN, address)]) for line in page.text.splitlines()]
    whole, subtitles, events, speakers, models, health, figures = printed
    assert json.loads(whole)["text"].startswith("Can I ask you something")
    assert subtitles.startswith("1\n00:00:00,")
    lines = [json.loads(line[6:]) for line in events.split("\n\n") if line.startswith("data: ")]
    kinds = [line["type"].rpartition(".")[2] for line in lines]
    assert kinds.count("delta") >= 2
    assert kinds[-1] == "done"
    assert "segment" in kinds
    assert {segment["speaker"] for segment in json.loads(speakers)["segments"]} == {"1", "2"}
    assert json.loads(models)["data"][0]["id"] == "embedded"
    assert json.loads(health)["status"] == "ready"
    told = {row[0] for row in rows(read("OPENAI"), "Figures")}
    names = {name for cell in told for name in re.findall(r"`(\w+)`", cell)}
    lacking = {name for name in names if f"\n{name}" not in f"\n{figures}"}
    assert lacking <= {"parakeet_errors_total"}  # has no line before the first error


def test_the_clients_own_types_read_the_answers(client: openai.OpenAI) -> None:
    """Every field that they know, and ours beside them."""
    verbose = client.audio.transcriptions.create(
        model="whisper-1",
        file=DIALOGUE,
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
        extra_body={"end": 12},
    )
    TranscriptionVerbose.model_validate(verbose.model_dump())
    assert verbose.duration == 12.0
    assert verbose.words
    assert verbose.words[0].word == "Can"
    spoken = client.audio.transcriptions.create(
        model="whisper-1",
        file=DIALOGUE,
        response_format="diarized_json",
        chunking_strategy="auto",
        extra_body={"end": 12, "num_speakers": 2},
    )
    TranscriptionDiarized.model_validate(spoken.model_dump())
    assert {segment.speaker for segment in spoken.segments} == {"1", "2"}
    assert client.models.list().data[0].id == "embedded"


async def test_the_async_client_streams(address: str) -> None:
    """Events of its own types, whose deltas are the text."""
    async with openai.AsyncOpenAI(base_url=f"http://{address}/v1", api_key="any") as client:
        stream = await client.audio.transcriptions.create(
            model="gpt-4o-transcribe", file=DIALOGUE, stream=True
        )
        events = [event async for event in stream]
    *deltas, done = events
    assert isinstance(done, TranscriptionTextDoneEvent)
    assert all(isinstance(delta, TranscriptionTextDeltaEvent) for delta in deltas)
    assert len(deltas) >= 2
    assert "".join(delta.delta for delta in deltas) == done.text


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # the client's own method
def test_errors_are_the_clients_errors(client: openai.OpenAI) -> None:
    """With the code and the field, and the answer that the guide shows."""
    with pytest.raises(openai.BadRequestError) as raised:
        client.audio.transcriptions.create(model="whisper-1", file=DIALOGUE, language="de")
    (shown,) = [one.json for one in blocks("OPENAI") if one.mark == "printed"]
    assert raised.value.response.json() == shown
    with pytest.raises(openai.NotFoundError) as other:
        client.audio.transcriptions.create(model="tts-1", file=DIALOGUE)
    assert (other.value.code, other.value.param) == ("unknown_model", "model")
    with pytest.raises(openai.BadRequestError) as told:
        client.audio.translations.create(model="whisper-1", file=DIALOGUE)
    assert "translate" in str(told.value)


@pytest.mark.parametrize("name", ["audio_url", "audio"])
def test_no_field_reads_a_file_of_the_server(address: str, name: str) -> None:
    """Neither by a path nor by a URL of one."""
    for path in (DIALOGUE, DIALOGUE.as_uri()):
        url = f"http://{address}/v1/audio/transcriptions"
        answer = json.loads(run(["curl", "-s", url, "-F", f"{name}={path}"]))
        assert answer["error"]["code"] in ("invalid_url", "invalid_request", "invalid_base64")


# --- a wrong start ---


@pytest.mark.parametrize(
    ("arguments", "environment", "line"),
    [
        (("--host", "0.0.0.0"), {}, "invalid_settings: API_KEY: not set, and 0.0.0.0 can be"),
        ((), {"FLOW": "diarization"}, "invalid_settings: FLOW: "),
        (("--port", "0"), {"FLOW": "orchestrated"}, "invalid_settings: DIARIZATION_ENDPOINT_ID, "),
        (("--host", "192.0.2.1"), {"API_KEY": "sk"}, "invalid_settings: --host 192.0.2.1 --port "),
    ],
)
def test_a_wrong_start_ends_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], environment: dict[str, str], line: str
) -> None:
    """With code 1, whether it is seen before the server listens or when its flow is loaded."""
    process = start(tmp_path, *arguments, **environment)
    assert process.wait(60) == 1
    last = (tmp_path / "server.log").read_text().splitlines()[-1]
    assert line in last


# --- the guide's tables ---


def test_every_code_of_the_server_is_in_the_guide() -> None:
    """With its status, and no other."""
    told = {row[0].strip("`"): int(row[1]) for row in rows(read("OPENAI"), "Errors")}
    own = {kind.code: kind.status for kind in Refusal.__subclasses__()}
    assert told == own
    assert errors.status_of("invalid_request") == Refusal.status


def test_every_path_is_in_the_guide(tmp_path: Path) -> None:
    """And no other."""
    app = App(Settings(temp_dir=tmp_path), ServerSettings())
    told = {
        path for row in rows(read("OPENAI"), "Paths") for path in re.findall(r"/[\w/]*", row[0])
    }
    assert told - {"/v1/models/"} == set(app.paths)


def test_every_field_of_openais_is_in_the_guide() -> None:
    """Those that API.md has are named there."""
    told = {
        name.removesuffix("[]")
        for row in rows(read("OPENAI"), "Fields")
        for name in re.findall(r"`([a-z_]+(?:\[\])?)`", row[0])
    }
    kind = ROLES["single"].kind
    assert known_fields(kind) - {*kind.model_fields} <= told
    assert told <= known_fields(kind)
