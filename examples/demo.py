"""The main job on this machine: start the single worker on the embedded models, send it a dialogue, show who said what.

    python -m examples.demo [recording]

The worker is the real one, behind the RunPod SDK's local API on a free loopback port. Answers are left in demo-output/.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

SAMPLE = Path(__file__).with_name("dialogue.mp3")
OUTPUT = Path("demo-output")
START_TIMEOUT_S = 300
JOB_TIMEOUT_S = 300

console = Console()


def main() -> None:
    """Run the demo; exit code 1 with a sentence where something fails."""
    parser = argparse.ArgumentParser(description="Transcribe a dialogue on the embedded models.")
    parser.add_argument("recording", nargs="?", type=Path, default=SAMPLE)
    recording = parser.parse_args().recording
    console.print(f"[bold]{recording.name}[/]: starting the single worker (NeMo and pyannote, CPU, embedded models) …")
    started = time.perf_counter()
    with running_worker("single") as url:
        console.print(f"worker ready after {time.perf_counter() - started:.1f} s")
        show(transcribe(url, recording))


def transcribe(url: str, recording: Path) -> dict[str, Any]:
    """Ask for all the formats that the demo leaves behind; returns the verbose one."""
    OUTPUT.mkdir(exist_ok=True)
    audio = base64.b64encode(recording.read_bytes()).decode()
    answers: dict[str, dict[str, Any]] = {}
    for response_format in ("verbose_json", "srt", "vtt"):
        started = time.perf_counter()
        answers[response_format] = post(url, {"audio_base64": audio, "response_format": response_format})
        console.print(f"{response_format}: {time.perf_counter() - started:.1f} s")
    (OUTPUT / "transcript.json").write_text(json.dumps(answers["verbose_json"], indent=2, ensure_ascii=False))
    for text_format in ("srt", "vtt"):
        (OUTPUT / f"transcript.{text_format}").write_text(answers[text_format][text_format])
    return answers["verbose_json"]


def post(url: str, job_input: dict[str, Any]) -> dict[str, Any]:
    """Send one job and wait for its output; ends the demo where the job fails."""
    body = json.dumps({"input": job_input}).encode()
    request = urllib.request.Request(f"{url}/runsync", body, {"Content-Type": "application/json"})  # noqa: S310  loopback
    with urllib.request.urlopen(request, timeout=JOB_TIMEOUT_S) as response:  # noqa: S310
        job = json.load(response)
    if job["status"] != "COMPLETED":
        sys.exit(f"the job failed: {job['error']}")
    output: dict[str, Any] = job["output"]
    return output


def show(answer: dict[str, Any]) -> None:
    """Print the transcript as a table."""
    table = Table("time", "speaker", "text", title=f"{answer['num_speakers']} speakers, {answer['duration']:.1f} s")
    for segment in answer["segments"]:
        table.add_row(f"{segment['start']:6.2f}–{segment['end']:6.2f}", segment["speaker"] or "?", segment["text"].strip())
    console.print(table)
    for warning in answer.get("warnings", []):
        console.print(f"[yellow]warning:[/] {warning}")
    console.print("left behind: " + ", ".join(str(path) for path in sorted(OUTPUT.iterdir())))


@contextlib.contextmanager
def running_worker(role: str, **environment: str) -> Iterator[str]:
    """Run one role behind the SDK's local API on the embedded models; gives its base URL and ends it afterwards."""
    port = free_port()
    models = {"MODEL_ID": "embedded", "DIARIZATION_MODEL_ID": "embedded"}
    command = [sys.executable, "-m", f"handlers.{role}", "--rp_serve_api", "--rp_api_host", "127.0.0.1"]
    OUTPUT.mkdir(exist_ok=True)
    log = OUTPUT / f"{role}.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [*command, "--rp_api_port", str(port)],
            env={**os.environ, **models, **environment},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_up(url, process, log)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for the worker to answer; ends the demo with the worker's own words where it died."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"the worker ended with code {process.returncode}:\n{log.read_text()}")
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(f"{url}/openapi.json", timeout=5).close()  # noqa: S310  loopback
            return
        time.sleep(0.2)
    sys.exit(f"the worker did not answer within {START_TIMEOUT_S} s")


if __name__ == "__main__":
    main()
