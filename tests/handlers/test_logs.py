"""The log in both forms: lines for people, and lines that a program reads, without secrets."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.domain.usage import Usage
from handlers.logs import JsonLines, done
from tests.docs.pages import blocks

ROOT = Path(__file__).parents[2]
USAGE = Usage(61.7, "embedded", {"download": 0.01, "speech": 2.5})
PRINTS = """
import logging, sys, warnings
from handlers.logs import configure
configure("json")
log = logging.getLogger("parakeet.worker")
log.info("hello")
try:
    raise ValueError("https://host/a.mp3?sig=CANARY")
except ValueError:
    log.exception("it failed")
warnings.warn("two\\nlines")
print("--- Starting ---")
print('{"requestId": "a", "message": "m", "level": "INFO"}')
print("half", end=""); print(" a line", file=sys.stdout)
print("token=CANARY", file=sys.stderr)
sys.exit("settings: MODEL_ID")
"""


def _written(record: logging.LogRecord) -> Any:
    return json.loads(JsonLines().format(record))


def test_a_job_is_one_line_with_what_it_took(caplog: pytest.LogCaptureFixture) -> None:
    """For people as a sentence; for programs the same figures as in the answer."""
    caplog.set_level(logging.INFO)
    done(logging.getLogger("parakeet.worker"), "job-1", USAGE)
    (record,) = caplog.records
    assert record.getMessage().startswith(
        "job-1 | done: 61.700 s of audio; download 0.010 s, speech 2.500 s; model embedded, version"
    )
    told = _written(record)
    assert told["job"] == "job-1"
    assert told["usage"]["seconds_of_audio"] == 61.7
    assert told["usage"]["seconds"] == {"download": 0.01, "speech": 2.5}
    assert told["usage"]["model"] == "embedded"
    assert {"time", "level", "logger", "message"} < set(told)


def test_the_line_in_the_guide_is_one_of_these(caplog: pytest.LogCaptureFixture) -> None:
    """The same fields, and the message as it is written of these figures."""
    (shown,) = [block.json for block in blocks("OPERATIONS") if block.mark == "log"]
    told = shown["usage"]
    caplog.set_level(logging.INFO)
    log = logging.getLogger(shown["logger"])
    done(log, shown["job"], Usage(told["seconds_of_audio"], told["model"], told["seconds"]))
    written = _written(caplog.records[0])
    assert written | {"time": ""} == shown | {"time": ""}
    assert re.sub(r"\d", "0", written["time"]) == re.sub(r"\d", "0", shown["time"])


def test_no_text_of_an_object_holds_a_secret() -> None:
    """Neither the message nor what was given beside it, however deep."""
    record = logging.makeLogRecord(
        {
            "msg": "at %s",
            "args": ("https://host/a?sig=CANARY",),
            "url": "https://user:CANARY@host/a",
            "deep": {"list": ["token=CANARY"]},
        }
    )
    assert "CANARY" not in JsonLines().format(record)
    assert _written(record)["url"] == "https://host/a"


def test_with_json_every_line_of_a_process_is_an_object() -> None:
    """Tracebacks, warnings, and what libraries print; an object that is one already stays."""
    run = subprocess.run(
        [sys.executable, "-c", PRINTS], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    printed = [json.loads(line) for line in (run.stderr + run.stdout).splitlines()]
    assert "CANARY" not in run.stderr + run.stdout
    messages = [one["message"] for one in printed]
    assert {"hello", "--- Starting ---", "half a line", "m", "settings: MODEL_ID"} <= {*messages}
    (failed,) = [one for one in printed if one["message"].startswith("it failed")]
    assert "ValueError" in failed["message"]
    assert any("UserWarning: two" in message for message in messages)
