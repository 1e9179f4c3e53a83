"""The answers of all roles to a fixed set of requests.

    python -m bench.recorded_answers record FILE | compare FILE FILE

Record in a checkout before a change and in one after it, then compare. A change that leaves the
wire alone leaves every answer equal, byte for byte. The version, which differs by design, and the
seconds of each kind of work are left out. All four roles run as real workers on the embedded models
behind the emulator. `compare` exits with code 1 if two answers differ.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.untimed import untimed

KEY = "recorded"
START_TIMEOUT_S = 300
DIALOGUE = Path("tests/golden/dialogue.mp3")
SENTENCES = Path("tests/golden/sentences.flac")
FORMATS = ("json", "verbose_json", "diarized_json", "text", "srt", "vtt")
TURNS = [
    {"start": 0.0, "end": 12.5, "speaker": "Ann"},
    {"start": 12.5, "end": 60, "speaker": "Ben"},
]

Input = dict[str, Any]
Answers = dict[str, Any]


def requests() -> Iterator[tuple[str, str, object]]:
    """Yield each request as its name, the endpoint and the job's input."""
    dialogue = {"audio_base64": base64.b64encode(DIALOGUE.read_bytes()).decode()}
    sentences = {"audio": base64.b64encode(SENTENCES.read_bytes()).decode()}
    for role in ("single", "orchestrator"):
        yield from _named(
            role, _of_words(dialogue) | _of_speakers(dialogue) | _of_both(dialogue, sentences)
        )
    yield from _named("transcription", _of_words(dialogue) | _of_transcription(dialogue, sentences))
    yield from _named(
        "diarization", _of_speakers(dialogue) | {"rttm": {**dialogue, "response_format": "rttm"}}
    )
    for role in ("single", "orchestrator", "transcription", "diarization"):
        yield from _named(role, _wrong(dialogue))


def _named(role: str, inputs: dict[str, object]) -> Iterator[tuple[str, str, object]]:
    return ((f"{role}: {name}", role, job_input) for name, job_input in inputs.items())


def _of_words(recording: Input) -> dict[str, object]:
    asked: dict[str, object] = {name: {**recording, "response_format": name} for name in FORMATS}
    asked |= {
        f"{name} with timestamps": {**recording, "response_format": name, "timestamps": True}
        for name in FORMATS
    }
    asked["english"] = {**recording, "language": "en-US"}
    asked["german"] = {**recording, "language": "de"}
    return asked


def _of_speakers(recording: Input) -> dict[str, object]:
    return {
        "plain": recording,
        "a range": {**recording, "start": 7.25, "end": 31.5},
        "behind the end": {**recording, "start": 4000},
        "one speaker": {**recording, "num_speakers": 1},
        "four speakers": {**recording, "num_speakers": 4},
        "two to three": {**recording, "min_speakers": 2, "max_speakers": 3},
    }


def _of_both(dialogue: Input, sentences: Input) -> dict[str, object]:
    return {
        "no speakers": {**dialogue, "diarize": False, "response_format": "verbose_json"},
        "one voice": {**sentences, "response_format": "verbose_json", "timestamps": True},
        "a hint": {**sentences, "audio_format": "flac"},
    }


def _of_transcription(dialogue: Input, sentences: Input) -> dict[str, object]:
    parts = {
        f"part {index} of 3": {**dialogue, "part": {"index": index, "of": 3}, "timestamp": True}
        for index in range(3)
    }
    turns = {**dialogue, "diarization_segments": TURNS}
    return {
        **parts,
        "turns": {**turns, "response_format": "verbose_json"},
        "turns as vtt": {**turns, "response_format": "vtt"},
        "one voice": {**sentences, "response_format": "verbose_json", "timestamps": True},
        "backward turn": {
            **dialogue,
            "diarization_segments": [{"start": 2, "end": 1, "speaker": "x"}],
        },
        "part outside": {**dialogue, "part": {"index": 3, "of": 3}},
    }


def _wrong(recording: Input) -> dict[str, object]:
    return {
        "nothing": {},
        "unknown field": {**recording, "languages": "en"},
        "two sources": {**recording, "audio_url": "https://example.com/a.mp3"},
        "no base64": {"audio_base64": "§§§"},
        "no audio": {
            "audio_base64": base64.b64encode(b"hello, this is text and no recording").decode()
        },
        "unknown format": {**recording, "response_format": "docx"},
        "file scheme": {"audio_url": "file:///etc/passwd"},
        "metadata": {"audio_url": "http://169.254.169.254/latest"},
        "s3": {"audio_url": "s3://bucket/key.wav"},
        "text for a number": {**recording, "start": "soon"},
        "backwards": {**recording, "start": 5, "end": 4},
    }


@contextlib.contextmanager
def _workers() -> Iterator[str]:
    """Run the four roles; yield the base URL of their endpoints."""
    command = [
        sys.executable,
        "-u",
        "-m",
        "emulator",
        "--config",
        "emulator/demo.toml",
        "--port",
        "0",
        "--api-key",
        KEY,
    ]
    with tempfile.TemporaryDirectory(prefix="recorded-") as logs:
        emulator = subprocess.Popen(
            [*command, "--logs", logs],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        try:
            assert emulator.stdout
            yield emulator.stdout.readline().split()[1]
        finally:
            emulator.terminate()
            emulator.wait(timeout=60)


def _post(url: str, body: Input) -> Answers:
    request = urllib.request.Request(
        url,
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=START_TIMEOUT_S) as response:
            answer: Answers = json.load(response)
    except urllib.error.HTTPError as error:
        return {"http": error.code}
    return answer


def _ask(base_url: str, role: str, job_input: object) -> Answers:
    answer = _post(f"{base_url}/{role}/runsync?wait={START_TIMEOUT_S * 1000}", {"input": job_input})
    output = answer.get("output")
    if isinstance(output, dict):
        output = untimed(output)
        output.pop("version", None)
        output.get("usage", {}).pop("version", None)
    return {
        "status": answer.get("status"),
        "output": output,
        "error": answer.get("error"),
        "http": answer.get("http"),
    }


def record(file: Path) -> None:
    """Ask all requests, and write the answers down."""
    answers: Answers = {}
    with _workers() as base_url:
        for name, role, job_input in requests():
            answers[name] = _ask(base_url, role, job_input)
            print(f"{answers[name]['status'] or '-':<12}{name}", flush=True)
    file.write_text(json.dumps(answers, indent=1, ensure_ascii=False))


def compare(before: Path, after: Path) -> int:
    """Print the names of the requests whose answers differ; return their number."""
    one, other = json.loads(before.read_text()), json.loads(after.read_text())
    names = sorted({*one, *other})
    differing = [name for name in names if json.dumps(one.get(name)) != json.dumps(other.get(name))]
    for name in differing:
        print(f"{name}\n  {json.dumps(one.get(name))[:300]}\n  {json.dumps(other.get(name))[:300]}")
    print(f"{len(names) - len(differing)} of {len(names)} answers are equal")
    return len(differing)


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("record", "compare"))
    parser.add_argument("files", type=Path, nargs="+")
    options = parser.parse_args()
    if options.what == "record":
        record(options.files[0])
    else:
        sys.exit(1 if compare(*options.files) else 0)


if __name__ == "__main__":
    main()
