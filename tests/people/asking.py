"""Jobs of a worker behind the SDK's local API."""

from __future__ import annotations

import base64
import json
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class Worker:
    """A running worker."""

    url: str

    def job(self, recording: Path, **fields: object) -> dict[str, Any]:
        """Send a recording to /runsync and return the whole answer."""
        audio = base64.b64encode(recording.read_bytes()).decode()
        body = json.dumps({"input": {"audio_base64": audio, **fields}}).encode()
        request = urllib.request.Request(
            f"{self.url}/runsync", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            return dict(json.load(response))

    def output(self, recording: Path, **fields: object) -> dict[str, Any]:
        """Return the output of a job that must succeed."""
        job = self.job(recording, **fields)
        assert job["status"] == "COMPLETED", job
        return dict(job["output"])

    def refusal(self, recording: Path, **fields: object) -> str:
        """Return the sentence with which a job must fail."""
        job = self.job(recording, **fields)
        assert job["status"] == "FAILED", job
        return str(job["error"])
