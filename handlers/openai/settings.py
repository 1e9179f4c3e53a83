"""The settings of the server alone; those of the flow are in `core.settings`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from core.errors import SettingsError
from core.settings import Environment, Key

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class ServerSettings(Environment):
    """The operator's settings of the server."""

    flow: Literal["single", "transcription", "orchestrated"] = "single"
    """Words and speakers, words alone, or the endpoints of an orchestrator."""
    api_key: Key | None = None
    """The key that callers must send; without one only this machine is answered."""
    allow_anonymous: bool = False
    """Answer everybody who can reach the server if there is no key."""
    port: int = Field(default=8000, ge=0, le=65_535)
    """RunPod's name for the port of a load-balancing endpoint; 0 takes a free one."""
    max_queue: int = Field(default=16, ge=0, le=10_000)
    """Requests that may wait, besides those that are worked on."""
    max_uploads: int = Field(default=32, ge=1, le=10_000)
    """Requests that may be received at a time."""
    drain_timeout: float = Field(default=120, ge=0, le=604_800, allow_inf_nan=False)
    """Seconds that requests get to end after SIGTERM."""

    @property
    def key(self) -> bytes | None:
        """The key in clear text, for the comparison alone."""
        return None if self.api_key is None else self.api_key.get_secret_value().encode()

    def check_host(self, host: str) -> None:
        """Raise SettingsError if the server would answer strangers at this address."""
        if self.api_key is None and not self.allow_anonymous and host not in LOOPBACK:
            raise SettingsError(
                f"API_KEY: not set, and {host} can be reached from elsewhere; set a key, listen on "
                "127.0.0.1, or set ALLOW_ANONYMOUS=1"
            )
