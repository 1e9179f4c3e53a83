"""Other endpoints of the platform: jobs in them, over RunPod's REST API, and what their workers
answer.

`Endpoint.run` is one job from its submission to its output. Whatever goes wrong on the way is a
`core.errors.WorkerError`, before the deadline and half a second, and a job that nobody waits for
any more is taken back.
"""

from __future__ import annotations

from core.remote.endpoint import Address, Endpoint, Pace, Report, connect
from core.remote.rest import request_body
from core.wire.answers import TranscriptionAnswer, read_diarization, read_transcription

__all__ = [
    "Address",
    "Endpoint",
    "Pace",
    "Report",
    "TranscriptionAnswer",
    "connect",
    "read_diarization",
    "read_transcription",
    "request_body",
]
