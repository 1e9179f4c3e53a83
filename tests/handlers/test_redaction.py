"""The log of a worker holds no secret of a URL, whichever library writes the line."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from handlers.redaction import Redacting, redacted
from tests import media

ROOT = Path(__file__).parents[2]
CANARY = "CANARY"
QUERY = f"X-Amz-Signature={CANARY}1&sig={CANARY}2&token={CANARY}3&{CANARY}4"
START = """
import logging, sys
from handlers.runpod.worker import configure_logging
configure_logging()
logging.root.setLevel(logging.DEBUG)
logging.getLogger("httpx2").setLevel(logging.DEBUG)
base, query = sys.argv[1:]
"""
REQUESTS = "import requests; requests.get(f'{base}/bad?{query}')"
URLLIB3 = """
import urllib3
try:
    urllib3.PoolManager().request("GET", f"{base}/lost?{query}", retries=2)
except Exception:
    logging.getLogger("mine").exception("it failed")
"""
REDIRECT = "import urllib3; urllib3.PoolManager().request('GET', f'{base}/moved?{query}')"
HTTPX2 = "import httpx2; httpx2.get(f'{base}/ok?{query}')"
BOTO3 = """
import boto3
from botocore.config import Config
client = boto3.session.Session().client(
    "s3", endpoint_url=base, aws_access_key_id="CANARY5", aws_secret_access_key="CANARY6",
    aws_session_token="CANARY7", region_name="eu-central-1",
    config=Config(s3={"addressing_style": "path"}),
)
client.get_object(Bucket="own", Key="a.mp3")
client.generate_presigned_url("get_object", {"Bucket": "own", "Key": "a.mp3"})
"""
EXCEPTION = """
import requests
try:
    requests.get(f"http://CANARY8:CANARY9@127.0.0.1:9/a.mp3?{query}")
except requests.ConnectionError as error:
    logging.error("cannot fetch: %s", error)
    logging.warning("cannot fetch %r", error, exc_info=True)
    logging.warning(error, stack_info=True)
    logging.info({"url": f"https://CANARY8:CANARY9@host/a.mp3?{query}"})
"""


@pytest.fixture(scope="module")
def host() -> Iterator[media.Host]:
    """A host with a header that is none, one that moves, one that hangs up, and a small store."""
    with media.host() as server:
        bad = b"HTTP/1.1 200 OK\r\nthis is no header\r\nContent-Length: 2\r\n\r\nok"
        query = QUERY
        server.url(f"/bad?{query}", lambda visit: visit.write(bad))
        server.url(f"/moved?{query}", media.redirects(f"/ok?{query}"))
        server.url(f"/ok?{query}", media.gives(b"ok"))
        server.url(f"/lost?{query}", lambda visit: visit.write(b""))
        server.url("/own/a.mp3", media.gives(b"sound", ETag='"0"'))
        yield server


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (REQUESTS, "Failed to parse headers"),
        (URLLIB3, "/lost"),
        (REDIRECT, "/ok"),
        (HTTPX2, "/ok"),
        (BOTO3, "CanonicalRequest"),
        (EXCEPTION, "cannot fetch: "),
    ],
    ids=["requests", "urllib3", "redirect", "httpx2", "boto3", "exception"],
)
def test_no_library_writes_a_secret(code: str, said: str, host: media.Host) -> None:
    """A worker's log at DEBUG: the lines are there, with tracebacks, without the canaries."""
    base = f"http://127.0.0.1:{host.server_port}"
    done = subprocess.run(
        [sys.executable, "-c", START + code, base, QUERY],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said in done.stderr
    found = [line for line in done.stderr.splitlines() if CANARY in line and "File " not in line]
    assert not found, found


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET https://h/a/b.mp3?x=y HTTP/1.1", "GET https://h/a/b.mp3?… HTTP/1.1"),
        ("https://user:pass@h:8443/a", "https://h:8443/a"),
        ("https://user@h/a?b#c", "https://h/a?…"),
        ("https://h/a#access", "https://h/a#…"),
        ("s3://own/a b?c", "s3://own/a b?…"),
        ("/a?X-Amz-Credential=AK%2F1 200", "/a?… 200"),
        ("a=1&X-Amz-Signature=abc", "a=1&X-Amz-Signature=…"),
        ("Authorization: Bearer rp_abc", "Authorization: …"),
        ("{'Authorization': b'Basic abc'}", "{'Authorization': …'}"),
        ("RUNPOD_API_KEY=rp_abc", "RUNPOD_API_KEY=…"),
        ("what? nothing", "what? nothing"),
        ("job-1 | download_failed", "job-1 | download_failed"),
        ("HF_TOKEN: check it", "HF_TOKEN: check it"),
        ("fitness: the rehearsal took 0.52 s", "fitness: the rehearsal took 0.52 s"),
        ("issue #5, mail me@host", "issue #5, mail me@host"),
    ],
)
def test_what_is_cut_and_what_stays(text: str, shown: str) -> None:
    """Hosts, paths and our own lines are what an operator reads."""
    assert redacted(text) == shown


def test_a_record_stays_whole_for_other_handlers() -> None:
    """Only the text is redacted."""
    record = logging.LogRecord("a", logging.INFO, "", 0, "%s", ("https://h/?a=b",), None)
    assert Redacting("%(message)s").format(record) == "https://h/?…"
    assert record.args == ("https://h/?a=b",)


@pytest.mark.parametrize("text", ["a" * 300_000, "://" * 100_000, "x?" * 100_000, "-a" * 150_000])
def test_a_long_line_costs_little(text: str) -> None:
    """A library may log a whole answer."""
    begun = time.process_time()
    redacted(text)
    assert time.process_time() - begun < 2
