"""Answers that are put where the caller said: whole, guarded, again if that may help."""

from __future__ import annotations

import hashlib
import threading
import time
from pathlib import Path

import pytest

from core.domain.request import Destination
from core.domain.stored import Stored
from core.errors import (
    BlockedAddress,
    Cancelled,
    InvalidUrl,
    StorageNotConfigured,
    UploadFailed,
    WorkerError,
)
from core.media import delivery
from core.media.delivery import Delivery
from core.settings import Settings
from tests import media
from tests.core.media.internet import PUBLIC, Internet
from tests.core.media.sources import S3, SWITCH, certify, sends

ANSWER = b'{"text": "\xc3\xa9"}' + b" " * 3_000_000
SECRET = "X-Amz-Signature=canary"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between tries nothing has to recover here."""
    monkeypatch.setattr(delivery, "_PAUSES_S", (0.01, 0.01))


def put(url: str, body: bytes = ANSWER, **settings: object) -> Stored:
    """Deliver an answer as a worker does."""
    sending = Delivery(Destination(url), Settings(**settings))  # type: ignore[arg-type]
    sending.look(lambda: False)
    return sending.put(body, lambda: False)


def refused(kind: type[WorkerError], url: str, **settings: object) -> str:
    """Deliver in vain; return the message."""
    with pytest.raises(kind) as caught:
        put(url, b"{}", **settings)
    return str(caught.value)


# presigned URLs


@pytest.mark.usefixtures("private")
@pytest.mark.parametrize("code", [200, 201, 204])
def test_an_answer_arrives_whole(code: int, host: media.Host) -> None:
    """Byte for byte; the receipt says where it is, without what is secret, and how to check it."""
    url = host.place(f"/a%20b.json?{SECRET}", media.takes(code)).replace("//", "//user:canary@")
    assert put(url) == Stored(
        f"http://127.0.0.1:{host.server_port}/a%20b.json",
        len(ANSWER),
        hashlib.sha256(ANSWER).hexdigest(),
    )
    assert host.taken == {f"/a%20b.json?{SECRET}": ANSWER}


@pytest.mark.usefixtures("private")
@pytest.mark.parametrize(
    ("query", "content_type"),
    [
        ("AWSAccessKeyId=a&Signature=b&Expires=1", None),
        ("X-Amz-SignedHeaders=host&X-Amz-Signature=b", None),
        ("X-Amz-SignedHeaders=content-type%3Bhost&X-Amz-Signature=b", "application/json"),
        ("X-Goog-SignedHeaders=content-type;host&X-Goog-Signature=b", "application/json"),
        ("sv=2026-01-01&sig=b", None),
    ],
)
def test_a_content_type_is_sent_if_it_is_signed(
    query: str, content_type: str | None, host: media.Host
) -> None:
    """The older signatures of S3 refuse one that is not."""
    put(host.place(f"/a?{query}", media.takes()), b"{}")
    headers = host.seen[0][1]
    assert headers.get("Content-Type") == content_type
    assert headers["Content-Length"] == "2"


@pytest.mark.parametrize(("host_name", "kind"), [("a", None), ("a.blob.core", "BlockBlob")])
def test_azure_is_told_the_kind_of_blob(
    host_name: str, kind: str | None, internet: Internet
) -> None:
    """As its Put Blob requires; nobody else is."""
    name = internet.name(f"{host_name}.windows.net", PUBLIC)
    internet.host.place("/c/a.json", media.takes(201))
    put(f"http://{name}/c/a.json", b"{}")
    assert internet.host.seen[0][1].get("x-ms-blob-type") == kind


def test_a_host_that_is_not_found_is_said_to_be_the_outputs(internet: Internet) -> None:
    """Before the work, and after it if it has gone meanwhile."""
    url, sentence = "https://a.example/", "output_url: the host a.example was not found; check the"
    assert refused(UploadFailed, url).startswith(sentence)
    sending = Delivery(Destination(url), Settings())
    with pytest.raises(UploadFailed, match=f"^{sentence} URL$") as gone:
        sending.put(b"{}", lambda: False)
    assert gone.value.code == "upload_failed"
    assert internet.dialled == []


@pytest.mark.usefixtures("private")
@pytest.mark.parametrize("code", [307, 308])
def test_a_redirect_that_keeps_the_request_is_followed(code: int, host: media.Host) -> None:
    """The answer is sent again, whole."""
    host.place("/there", media.takes())
    put(host.place("/here", media.redirects("/there", code)))
    assert host.taken == {"/there": ANSWER}


@pytest.mark.usefixtures("private")
@pytest.mark.parametrize("code", [301, 302, 303])
def test_a_redirect_that_would_become_a_get_is_not(code: int, host: media.Host) -> None:
    """It is a place that does not take the answer."""
    host.place("/there", media.takes())
    url = host.place("/here", media.redirects("/there", code))
    assert f"status {code}" in refused(UploadFailed, url)
    assert [path for path, _ in host.seen] == ["/here"]


@pytest.mark.usefixtures("private")
@pytest.mark.parametrize("code", [400, 403, 404, 405, 411, 413])
def test_a_place_that_refuses_is_asked_once(code: int, host: media.Host) -> None:
    """The error says what to look at."""
    with pytest.raises(UploadFailed, match=f"status {code}; check that output_url") as caught:
        put(host.place(f"/a?{SECRET}", media.status(code)), b"{}")
    assert caught.value.code == "upload_failed"
    assert len(host.seen) == 1


@pytest.mark.usefixtures("private")
@pytest.mark.parametrize("fault", [media.status(503), media.status(429), sends(b"")])
def test_a_place_that_fails_is_asked_again(fault: media.Answer, host: media.Host) -> None:
    """Twice more: the work is done, and a PUT can be repeated."""
    answers = iter([fault, fault, media.takes()])

    def answer(visit: media.Visit) -> None:
        next(answers)(visit)

    assert put(host.place("/a", answer), b"{}").bytes == 2
    assert host.taken == {"/a": b"{}"}
    assert list(answers) == []


@pytest.mark.usefixtures("private")
def test_a_place_that_keeps_failing_may_be_tried_later(host: media.Host) -> None:
    """The code says so."""
    with pytest.raises(UploadFailed, match="status 503; try again later") as caught:
        put(host.place("/a", media.status(503)), b"{}")
    assert (caught.value.code, caught.value.retryable) == ("upload_interrupted", True)
    assert len(host.seen) == 3


@pytest.mark.usefixtures("private")
def test_a_slow_place_is_given_up_at_the_deadline(host: media.Host) -> None:
    """Though it reads a little of the answer every now and then."""

    def sips(visit: media.Visit) -> None:
        while not host.closing.wait(0.05) and visit.rfile.read(1):
            pass
        host.hung_up.set()

    began = time.monotonic()
    with pytest.raises(UploadFailed, match=r"output_url within 0\.5 s"):
        put(host.place("/a", sips), ANSWER * 9, download_timeout=0.5)
    assert time.monotonic() - began < 5
    assert _no_upload_is_left()


@pytest.mark.usefixtures("private")
def test_a_cancelled_job_stops_sending(host: media.Host) -> None:
    """The connection is closed."""
    asked = threading.Event()

    def waits(visit: media.Visit) -> None:
        asked.set()
        host.closing.wait(10)

    sending = Delivery(Destination(host.place("/a", waits)), Settings())
    with pytest.raises(Cancelled):
        sending.put(ANSWER * 9, asked.is_set)
    assert _no_upload_is_left()


# the guard


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/a", "http://10.0.0.1/a", "http://169.254.169.254/latest/",
        "http://[::1]/a", "http://2130706433/a", "https://192.168.1.1/a", "http://0/a",
    ],
)  # fmt: skip
def test_private_addresses_take_no_answer(url: str, internet: Internet) -> None:
    """Refused before the work, by the guard of downloads; nothing is connected to."""
    sending = Delivery(Destination(url), Settings())
    with pytest.raises(BlockedAddress, match=r"^output_url: .* host the answer where"):
        sending.look(lambda: False)
    assert internet.dialled == []


def test_metadata_services_stay_closed_in_any_case(
    internet: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The switch for development opens other private addresses alone."""
    monkeypatch.setenv(SWITCH, "true")
    refused(BlockedAddress, "http://169.254.169.254/latest/api/token")
    assert internet.dialled == []


@pytest.mark.parametrize("port", [22, 6379, 8080])
def test_other_ports_take_no_answer(port: int, internet: Internet) -> None:
    """Those of other services than the web's."""
    assert f"port {port}" in refused(BlockedAddress, f"http://{PUBLIC}:{port}/a")
    assert internet.dialled == []


def test_a_name_is_looked_at_again_when_the_answer_is_sent(internet: Internet) -> None:
    """It may have changed its mind since the work began."""
    found = [[PUBLIC], ["127.0.0.1"]]
    internet.names["rebinds.test"] = lambda: found.pop(0)
    sending = Delivery(Destination("http://rebinds.test/a"), Settings())
    sending.look(lambda: False)
    with pytest.raises(BlockedAddress):
        sending.put(b"{}", lambda: False)
    assert internet.dialled == []


@pytest.mark.parametrize("target", ["http://127.0.0.1/a", "http://169.254.169.254/a", "file:///a"])
def test_a_redirect_leads_to_nothing_private(target: str, internet: Internet) -> None:
    """Nor out of the web."""
    internet.host.place("/a", media.redirects(target, 307))
    refused(BlockedAddress, f"http://{PUBLIC}/a")
    assert internet.dialled == [PUBLIC]


def test_a_redirect_does_not_leave_tls(
    internet: Internet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer would travel in the clear."""
    with media.host() as secure:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certify(secure, tmp_path)))
        internet.at_port[443] = secure
        name = internet.name("name.test", PUBLIC)
        secure.place("/a", media.redirects(f"http://{name}/b", 307))
        internet.host.place("/b", media.takes())
        assert "from https to http" in refused(BlockedAddress, f"https://{name}/a")
        assert internet.host.taken == {}


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("result.json", "presigned"),
        ("ftp://example.org/a", "presigned"),
        ("file:///tmp/a", "presigned"),
        ("data:,a", "presigned"),
        ("http://", "cannot be read"),
        ("http://good.example\\@127.0.0.1/", "cannot be read"),
    ],
)
def test_a_place_that_is_none_is_refused_before_the_work(url: str, words: str) -> None:
    """With a sentence that says which of the URLs is meant."""
    with pytest.raises(InvalidUrl, match=f"^output_url: .*{words}"):
        Delivery(Destination(url), Settings())


@pytest.mark.usefixtures("private")
def test_no_message_and_no_line_of_the_log_holds_a_secret(
    host: media.Host, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a query nor a user."""
    bad = b"HTTP/1.1 403 No\r\nno colon\r\nContent-Length: 0\r\n\r\n"
    url = host.place(f"/a?{SECRET}", sends(bad)).replace("//", "//canary:canary@")
    assert "canary" not in refused(UploadFailed, url)
    assert "canary" not in refused(InvalidUrl, url.replace("http:", "ftp:"))
    assert "canary" not in caplog.text
    assert "canary" not in repr(Destination(url))


# s3


def test_an_answer_becomes_an_object(host: media.Host, store: media.Store) -> None:
    """Of an open bucket, written with the operator's keys."""
    store.open("answers", "2026/a.json")
    stored = put(
        "s3://answers/2026/a.json",
        s3_endpoint=store.endpoint,
        s3_output_buckets="answers",
        **S3,
    )
    assert stored.url == "s3://answers/2026/a.json"
    assert host.taken == {"/answers/2026/a.json": ANSWER}


def test_a_url_without_a_bucket_means_the_workers_own(store: media.Store) -> None:
    """The receipt names it."""
    store.open("own", "a.json")
    settings = {"s3_bucket": "own", "s3_output_buckets": "own", **S3}
    assert put("s3:///a.json", s3_endpoint=store.endpoint, **settings).url == "s3://own/a.json"


@pytest.mark.parametrize(
    "settings",
    [{}, {"s3_bucket": "own"}, {"s3_allowed_buckets": "own"}, {"s3_output_buckets": "other"}],
)
def test_a_bucket_that_is_read_is_not_yet_written(
    settings: dict[str, str], host: media.Host, store: media.Store
) -> None:
    """Only those that the operator names for it; the store is not asked."""
    store.open("own", "a.json")
    said = refused(
        StorageNotConfigured, "s3://own/a.json", s3_endpoint=store.endpoint, **settings, **S3
    )
    assert said.startswith("output_url: the worker does not write to the bucket own")
    assert "S3_OUTPUT_BUCKETS" in said
    assert host.seen == []


@pytest.mark.parametrize("url", ["s3://own/../other/a", "s3://own", "s3://OWN/a"])
def test_an_s3_url_that_leads_elsewhere_is_invalid(url: str) -> None:
    """As those of recordings are."""
    refused(InvalidUrl, url, s3_output_buckets="own", **S3)


def test_s3_needs_keys() -> None:
    """The sentence names them."""
    said = refused(StorageNotConfigured, "s3://own/a", s3_output_buckets="own")
    assert "S3_ACCESS_KEY and S3_SECRET_KEY" in said


@pytest.mark.parametrize(
    ("code", "name", "words", "retryable"),
    [
        (404, "NoSuchBucket", "no such bucket", False),
        (403, "AccessDenied", "refused access", False),
        (503, "SlowDown", "status 503", True),
    ],
)
def test_a_refusal_of_the_storage_is_named(
    code: int,
    name: str,
    words: str,
    retryable: bool,
    store: media.Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the code of answers, not of recordings."""
    monkeypatch.setattr(delivery, "_PAUSES_S", ())  # boto3 has tries of its own
    store.fail("own", "a", code, name)
    with pytest.raises(UploadFailed, match=words) as caught:
        put("s3://own/a", s3_endpoint=store.endpoint, s3_output_buckets="own", **S3)
    assert caught.value.retryable is retryable


def _no_upload_is_left() -> bool:
    """Whether the threads of all deliveries have ended, or do so soon."""
    for thread in threading.enumerate():
        if thread.name == "upload":
            thread.join(2)
    return not any(thread.name == "upload" for thread in threading.enumerate())
