"""Jobs in other endpoints of the platform, over RunPod's REST API.

`Endpoint.run` is one job from its submission to its output. Every failure is a
`core.errors.WorkerError`, raised at most 0.5 s after the deadline; abandoned jobs are cancelled.
"""

from __future__ import annotations

from core.remote.endpoint import Endpoint
from core.remote.exchange import Address, connect
from core.remote.pace import Pace
from core.remote.rest import request_body

__all__ = ["Address", "Endpoint", "Pace", "connect", "request_body"]
