"""Other endpoints of the platform: jobs in them, over RunPod's REST API.

`Endpoint.run` is one job from its submission to its output. Every failure is a
`core.errors.WorkerError`, raised at most 0.5 s after the deadline; abandoned jobs are cancelled.
"""

from __future__ import annotations

from core.remote.endpoint import Address, Endpoint, Pace, connect
from core.remote.rest import request_body

__all__ = ["Address", "Endpoint", "Pace", "connect", "request_body"]
