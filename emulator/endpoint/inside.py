"""The inside of an endpoint, which its parts share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from emulator.endpoint.changes import Changes
from emulator.endpoint.tasks import Tasks
from emulator.queue import Queue
from emulator.rules import Rules
from emulator.workers import Workers


@dataclass(slots=True)
class Inside:
    """One for each endpoint. Everything runs on one event loop."""

    name: str
    rules: Rules
    clock: Callable[[], float]
    queue: Queue
    workers: Workers
    tasks: Tasks
    changes: Changes
    closing: bool = False
