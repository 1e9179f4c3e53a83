"""Replies of the platform that tests of its clients put into scripts."""

from __future__ import annotations

from emulator.faults import ConnectionReset, HtmlPage
from emulator.scripted import Reply

KEY = "rpa_SECRETKEY"


def state(status: str, **more: object) -> Reply:
    """Return what `/status` says."""
    return Reply(body={"id": "job", "status": status, **more})


def completed(output: object) -> Reply:
    """Return the state of a job that is done."""
    return state("COMPLETED", output=output)


def failed(code: str, sentence: str) -> Reply:
    """Return the state of a job that failed in a worker of ours."""
    return state("FAILED", error=f"{code}: {sentence}")


RESET = ConnectionReset()
HTML = HtmlPage(200)
QUEUED = state("IN_QUEUE")
