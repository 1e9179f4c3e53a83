"""Sources: every kind of place gives its file; nothing but public addresses, no more bytes and no
more time than allowed, no trace left.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import gzip
import inspect
import ipaddress
import ssl
import stat
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from core import errors
from core.domain.request import Source
from core.errors import (
    BlockedAddress,
    Cancelled,
    DownloadFailed,
    DownloadTimedOut,
    EmptyAudio,
    InvalidBase64,
    InvalidUrl,
    SourceTooLarge,
    StorageNotConfigured,
    WorkerError,
)
from core.media.fetch import fetch, job_folder
from core.media.web import Web, _is_never_fetched
from core.settings import Settings
from tests import media

SWITCH = "RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS"
BODY = bytes(range(256)) * 1000
S3 = {"s3_access_key": media.Store.ACCESS_KEY, "s3_secret_key": "secret-canary"}


@pytest.fixture
def host() -> Iterator[media.Host]:
    """A host on loopback."""
    with media.host() as server:
        yield server


@pytest.fixture
def private(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator allows private addresses, by the SDK's own switch."""
    monkeypatch.setenv(SWITCH, "1")


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's rule holds."""
    monkeypatch.delenv(SWITCH, raising=False)


def get(
    value: str, folder: Path, cancelled: Callable[[], bool] = lambda: False, **settings: object
) -> bytes:
    """Fetch and read."""
    return fetch(
        Source(value), folder, settings=Settings(**settings), cancelled=cancelled
    ).read_bytes()  # type: ignore[arg-type]


def refused(kind: type[WorkerError], value: str, folder: Path, **settings: object) -> str:
    """Fetch in vain; return what is said."""
    with pytest.raises(kind) as caught:
        get(value, folder, **settings)
    return str(caught.value)


# The folder of a job


def test_a_job_folder_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    """With all that is in it; its parent is made where it is missing."""
    with job_folder(tmp_path / "new" / "temp") as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_bytes(b"x")
    assert not any((tmp_path / "new" / "temp").iterdir())


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, Cancelled, RuntimeError])
def test_a_job_folder_is_gone_after_any_exception(
    kind: type[BaseException], tmp_path: Path
) -> None:
    """Also after those that are no errors."""
    with pytest.raises(kind), job_folder(tmp_path):
        raise kind
    assert not any(tmp_path.iterdir())


def test_two_jobs_have_two_folders(tmp_path: Path) -> None:
    """At the same time."""
    with job_folder(tmp_path) as one, job_folder(tmp_path) as two:
        assert one != two


# Text in the request


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes])
@pytest.mark.parametrize(
    "prefix", ["", "data:audio/wav;base64,", "data:;base64,", "DATA:audio/ogg; codecs=opus;BASE64,"]
)
def test_base64_comes_out_as_the_bytes_that_went_in(
    prefix: str, encode: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    """Bare or as a data URI, in either alphabet, with or without line breaks."""
    assert get(prefix + encode(BODY).decode(), tmp_path) == BODY


@given(body=st.binary(min_size=1, max_size=50))
def test_any_bytes_survive_base64(body: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever they are."""
    assert get(base64.b64encode(body).decode(), tmp_path_factory.getbasetemp()) == body


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "/etc/passwd",
        "a.mp3",
        "../../x",
        "AAA",
        "AA=A",
        "ÄÄÄÄ",
        "AAAA!",
        "{}",
        "data:,abc",
        "data:audio/wav,AAAA",
    ],
)
def test_what_is_not_base64_is_said_to_be_not_base64(text: str, tmp_path: Path) -> None:
    """And is never taken for the path of a file here."""
    assert "base64" in refused(InvalidBase64, text, tmp_path)


def test_the_name_of_a_file_that_is_here_is_not_opened(tmp_path: Path) -> None:
    """Not even where its path happens to be base64."""
    for length in range(4):
        path = tmp_path / ("canary" + "A" * length)
        path.write_bytes(b"canary")
        with contextlib.suppress(InvalidBase64):
            assert get(str(path), tmp_path) != b"canary"


@pytest.mark.parametrize("text", ["data:audio/wav;base64,", "data:;base64,\n"])
def test_no_bytes_are_no_recording(text: str, tmp_path: Path) -> None:
    """An empty upload is called that."""
    refused(EmptyAudio, text, tmp_path)


@pytest.mark.parametrize(("size", "fits"), [(299, True), (300, True), (301, False), (302, False)])
def test_the_size_of_base64_is_that_of_what_it_stands_for(
    size: int, fits: bool, tmp_path: Path
) -> None:
    """To the byte, padding counted."""
    text = base64.b64encode(bytes(size)).decode()
    if fits:
        assert len(get(text, tmp_path, max_audio_bytes=300)) == size
    else:
        assert "300 bytes" in refused(SourceTooLarge, text, tmp_path, max_audio_bytes=300)


def test_base64_that_is_too_large_is_refused_before_it_is_looked_at(tmp_path: Path) -> None:
    """Garbage behind the limit is not even found to be garbage."""
    refused(SourceTooLarge, "A" * 4000 + "!", tmp_path, max_audio_bytes=300)


# URLs that are none


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "file:/etc/passwd", "ftp://example.org/a.mp3",
        "gopher://example.org/1", "blob:https://example.org/1",
        "javascript:alert(1)", "http:", "http://", "http:///a.mp3", "https://:443/",
        "http://host:99999/", "http://host:0/", "http://[::1/",
        "http://good.example\\@127.0.0.1/", "http://ho st/a.mp3", "http://host/\x00",
    ],
)  # fmt: skip
def test_a_url_that_is_none_is_invalid(url: str, tmp_path: Path) -> None:
    """As is one of a kind that is not fetched."""
    refused(InvalidUrl, url, tmp_path)


# The web


@pytest.mark.usefixtures("private")
class TestHosts:
    """On loopback, which the operator's switch allows."""

    def test_a_file_arrives_whole(self, host: media.Host, tmp_path: Path) -> None:
        """Byte for byte."""
        assert get(host.url("/a%20b.mp3?sig=1", media.gives(BODY)), tmp_path) == BODY

    def test_a_redirect_is_followed(self, host: media.Host, tmp_path: Path) -> None:
        """To another path of the same host."""
        host.url("/new", media.gives(BODY))
        assert get(host.url("/old", media.redirects("/new")), tmp_path) == BODY

    def test_a_chain_of_redirects_ends(self, host: media.Host, tmp_path: Path) -> None:
        """After five hops."""
        assert "redirects too often" in refused(
            DownloadFailed, host.url("/loop", media.redirects("/loop")), tmp_path
        )
        assert len(host.seen) == 6

    @pytest.mark.parametrize(
        "location", ["file:///etc/passwd", "ftp://127.0.0.1/", "http://x:99999/"]
    )
    def test_a_redirect_to_what_is_not_fetched_is_refused(
        self, location: str, host: media.Host, tmp_path: Path
    ) -> None:
        """With a code of its own, not as a fault of ours."""
        with pytest.raises((BlockedAddress, InvalidUrl)):
            get(host.url("/old", media.redirects(location)), tmp_path)

    @pytest.mark.parametrize(
        ("code", "retryable"),
        [
            (400, False),
            (403, False),
            (404, False),
            (410, False),
            (408, True),
            (425, True),
            (429, True),
            (500, True),
            (503, True),
            (204, False),
        ],
    )
    def test_a_status_that_is_not_200_is_told(
        self, code: int, retryable: bool, host: media.Host, tmp_path: Path
    ) -> None:
        """And whether it makes sense to ask again."""
        with pytest.raises(
            DownloadFailed, match=f"127.0.0.1 answered with HTTP status {code}"
        ) as caught:
            get(host.url("/a.mp3", media.status(code)), tmp_path)
        assert caught.value.retryable is retryable

    def test_nobody_at_home_may_be_tried_again(self, tmp_path: Path) -> None:
        """A port on which nothing listens."""
        with media.host() as server:
            url = server.url("/a.mp3", media.gives(BODY))
        with pytest.raises(DownloadFailed, match=r"127\.0\.0\.1") as caught:
            get(url, tmp_path)
        assert caught.value.retryable

    def test_a_body_that_breaks_off_is_a_failed_download(
        self, host: media.Host, tmp_path: Path
    ) -> None:
        """Not a shorter recording."""
        url = host.url(
            "/a.mp3",
            lambda visit: (visit.head(200, {"Content-Length": "1000000"}), visit.write(BODY))[0],
        )
        with pytest.raises(DownloadFailed, match="broke off") as caught:
            get(url, tmp_path)
        assert caught.value.retryable

    def test_an_empty_body_is_an_empty_recording(self, host: media.Host, tmp_path: Path) -> None:
        """The upload was not complete."""
        refused(EmptyAudio, host.url("/a.mp3", media.gives(b"")), tmp_path)

    def test_a_length_beyond_the_limit_is_refused_at_once(
        self, host: media.Host, tmp_path: Path
    ) -> None:
        """By what the host says of it."""
        refused(
            SourceTooLarge,
            host.url("/a.mp3", media.gives(BODY)),
            tmp_path,
            max_audio_bytes=len(BODY) - 1,
        )
        assert not (tmp_path / "recording").exists() or not (tmp_path / "recording").stat().st_size

    def test_a_host_that_says_no_length_is_cut_at_the_limit(
        self, host: media.Host, tmp_path: Path
    ) -> None:
        """However much it would send."""

        def answer(visit: media.Visit) -> None:
            visit.head()
            visit.drip(bytes(100_000))

        refused(SourceTooLarge, host.url("/a.mp3", answer), tmp_path, max_audio_bytes=300_000)
        assert (tmp_path / "recording").stat().st_size <= 300_000
        assert host.hung_up.wait(10)

    def test_a_compressed_body_counts_as_what_it_becomes(
        self, host: media.Host, tmp_path: Path
    ) -> None:
        """A small body of 200 million zeros is too large, and is never held as a whole."""
        bomb = gzip.compress(bytes(200_000_000), compresslevel=1)
        assert len(bomb) < 1_000_000
        url = host.url("/a.mp3", media.gives(bomb, Content_Encoding="gzip"))
        refused(SourceTooLarge, url, tmp_path, max_audio_bytes=1_000_000)
        assert host.seen[0][1]["Accept-Encoding"] == "identity"

    def test_a_body_that_drips_is_given_up_at_the_deadline(
        self, host: media.Host, tmp_path: Path
    ) -> None:
        """No read of it ever takes long; the connection is closed."""

        def answer(visit: media.Visit) -> None:
            visit.head()
            visit.drip(b"x")

        began = time.monotonic()
        assert "0.5 s" in refused(
            DownloadTimedOut, host.url("/a.mp3", answer), tmp_path, download_timeout=0.5
        )
        assert time.monotonic() - began < 10
        assert host.hung_up.wait(10)

    def test_headers_that_drip_are_given_up_at_the_deadline(
        self, host: media.Host, tmp_path: Path
    ) -> None:
        """Before there is an answer at all."""

        def answer(visit: media.Visit) -> None:
            visit.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
            visit.drip(b"x")

        refused(DownloadTimedOut, host.url("/a.mp3", answer), tmp_path, download_timeout=0.5)
        assert host.hung_up.wait(10)

    def test_a_job_that_nobody_wants_stops_downloading(
        self, host: media.Host, tmp_path: Path
    ) -> None:
        """As soon as it is taken back, and the connection is closed."""
        taken_back = threading.Event()

        def answer(visit: media.Visit) -> None:
            visit.head()
            visit.write(b"x")
            taken_back.set()
            visit.drip(b"x")

        with pytest.raises(Cancelled):
            get(host.url("/a.mp3", answer), tmp_path, taken_back.is_set)
        assert host.hung_up.wait(10)

    @pytest.mark.parametrize(
        "address",
        ["169.254.169.254", "[::ffff:169.254.169.254]", "100.100.100.200", "168.63.129.16"],
    )
    def test_metadata_services_stay_closed_whatever_the_switch(
        self, address: str, host: media.Host, tmp_path: Path
    ) -> None:
        """Directly and by a redirect."""
        refused(BlockedAddress, f"http://{address}/latest/meta-data", tmp_path)
        refused(
            BlockedAddress, host.url("/old", media.redirects(f"http://{address}/latest")), tmp_path
        )

    def test_a_host_without_a_name_is_not_found(self, tmp_path: Path) -> None:
        """By its name; `.invalid` never resolves (RFC 6761)."""
        assert "nobody.invalid" in refused(DownloadFailed, "http://nobody.invalid/a.mp3", tmp_path)

    def test_over_tls_the_same_holds(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file arrives, and a drip is cut under the reader."""

        def drip(visit: media.Visit) -> None:
            visit.head()
            visit.drip(b"x")

        with media.host() as server:
            certificate = certify(server, tmp_path)
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
            assert (
                get(server.url("/a", media.gives(BODY)).replace("http:", "https:"), tmp_path)
                == BODY
            )
            refused(
                DownloadTimedOut,
                server.url("/b", drip).replace("http:", "https:"),
                tmp_path,
                download_timeout=0.5,
            )
            assert server.hung_up.wait(10)

    def test_a_certificate_that_nobody_signed_is_refused(self, tmp_path: Path) -> None:
        """Trust is the system's."""
        with media.host() as server:
            certify(server, tmp_path)
            refused(
                DownloadFailed,
                server.url("/a", media.gives(BODY)).replace("http:", "https:"),
                tmp_path,
            )


def certify(server: media.Host, folder: Path) -> Path:
    """Let a host speak TLS; return its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(1))
        .not_valid_after(now + datetime.timedelta(1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(secret)
    (folder / "certificate.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    return folder / "certificate.pem"


# Addresses


NOT_PUBLIC = [
    "127.0.0.1", "127.1", "0177.0.0.1", "0x7f.1", "2130706433", "0x7f000001", "0.0.0.0", "0",
    "localhost",
    "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "2852039166", "100.64.0.1",
    "100.100.100.200", "168.63.129.16", "192.0.0.192", "192.88.99.1", "198.18.0.1",
    "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "[::1]", "[::]",
    "[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]",
    "[::ffff:10.0.0.1]", "[::ffff:6440:1]", "[::127.0.0.1]", "[fc00::1]", "[fd00:ec2::254]",
    "[fe80::1]", "[fec0::1]", "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]", "[2001:0:7f00:1::1]", "[2001:db8::1]", "[64:ff9b::7f00:1]",
    "[64:ff9b:1::a9fe:a9fe]", "[ff02::1]",
    "[2606:4700::5efe:127.0.0.1]", "[2606:4700::200:5efe:a9fe:a9fe]", "user:pass@127.0.0.1",
    "example.org@127.0.0.1",
    "127.0.0.1.", "①②⑦.⓪.⓪.①", "127。0。0。1",
]  # fmt: skip


@pytest.mark.usefixtures("public")
@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_never_connected_to(
    address: str, host: media.Host, tmp_path: Path
) -> None:
    """In no spelling: the host that listens there hears nothing."""
    with pytest.raises((BlockedAddress, InvalidUrl, DownloadFailed)) as caught:
        get(f"http://{address}:{host.server_port}/a.mp3", tmp_path)
    assert host.seen == []
    assert not caught.value.retryable or "not found" in str(caught.value)


@pytest.mark.usefixtures("public")
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_to_an_address_that_is_not_public_is_not_followed(
    code: int, tmp_path: Path
) -> None:
    """The rule holds on every hop: here 127.0.0.1 plays the public host, and 127.0.0.2 the private
    one.
    """
    with media.host() as open_host, media.host("127.0.0.2") as closed_host:
        target = closed_host.url("/secret", media.gives(b"canary"))
        url = open_host.url("/old", media.redirects(target, code))
        web = Web(
            url, max_bytes=1000, timeout_s=10, is_allowed=lambda address: address == "127.0.0.1"
        )
        with pytest.raises(BlockedAddress, match=r"127\.0\.0\.2"):
            list(web.chunks())
        assert [path for path, _ in open_host.seen] == ["/old"]
        assert closed_host.seen == []


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "151.101.1.69",
        "2606:4700:4700::1111",
        "2a00:1450:4001:81b::200e",
        "::ffff:8.8.8.8",
    ],
)
def test_public_addresses_are_public(address: str) -> None:
    """By the SDK's rule and by ours."""
    from runpod.serverless.utils import rp_ssrf

    assert rp_ssrf.is_safe_address(address)
    assert not _is_never_fetched(address)


def test_the_guard_of_the_sdk_is_the_one_we_know() -> None:
    """Its signatures, and the names in it that ours replaces; runpod is pinned to the version that
    has them.
    """
    from runpod.serverless.utils import rp_ssrf

    assert (
        str(inspect.signature(rp_ssrf.resolve_and_validate))
        == "(host: str, port: int) -> List[str]"
    )
    assert list(inspect.signature(rp_ssrf.iter_content_capped).parameters) == [
        "response",
        "chunk_size",
        "max_bytes",
    ]
    assert {"stream", "timeout", "headers", "max_bytes", "max_redirects"} <= set(
        inspect.signature(rp_ssrf.safe_get).parameters
    )
    assert {"resolve_and_validate", "_get_via_first_reachable_ip"} <= set(
        rp_ssrf.safe_get.__code__.co_names
    )
    assert "is_safe_address" in rp_ssrf.resolve_and_validate.__code__.co_names
    assert "PinnedIPAdapter" in rp_ssrf._build_pinned_session.__code__.co_names
    assert hasattr(rp_ssrf.PinnedIPAdapter, "get_connection_with_tls_context")
    words = inspect.getsource(rp_ssrf)
    assert all(
        words.count(part) for part in ("size cap", "redirects", "without Location", "through proxy")
    )


@pytest.mark.usefixtures("private")
def test_the_sdk_itself_is_left_as_it_was(host: media.Host, tmp_path: Path) -> None:
    """What we tighten, we tighten in a module of our own."""
    from runpod.serverless.utils import rp_ssrf

    before = dict(vars(rp_ssrf))
    get(host.url("/a.mp3", media.gives(BODY)), tmp_path)
    assert vars(rp_ssrf) == before


@pytest.mark.usefixtures("public")
def test_a_proxy_in_the_environment_is_not_used(
    host: media.Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through it no address could be checked."""
    monkeypatch.setenv("http_proxy", host.url("/", media.gives(BODY)))
    assert "proxy" in refused(BlockedAddress, "http://example.org/a.mp3", tmp_path)
    assert host.seen == []


# Storage


@pytest.fixture
def store(host: media.Host) -> media.Store:
    """A storage on that host."""
    return media.Store(host)


def test_an_object_arrives_whole(store: media.Store, tmp_path: Path) -> None:
    """Its key may hold what separates the parts of other URLs."""
    store.put("recordings", "2026/a%20%3Fb.mp3", BODY)
    assert get("s3://recordings/2026/a ?b.mp3", tmp_path, s3_endpoint=store.endpoint, **S3) == BODY


def test_without_a_bucket_the_worker_s_own_is_meant(store: media.Store, tmp_path: Path) -> None:
    """As in s3:///key."""
    store.put("own", "a.mp3", BODY)
    assert get("s3:///a.mp3", tmp_path, s3_endpoint=store.endpoint, s3_bucket="own", **S3) == BODY


@pytest.mark.parametrize("settings", [{}, {"s3_access_key": "a"}, {"s3_secret_key": "a"}])
def test_a_worker_without_keys_says_which_it_needs(
    settings: dict[str, str], tmp_path: Path
) -> None:
    """Both of them."""
    assert "S3_ACCESS_KEY and S3_SECRET_KEY" in refused(
        StorageNotConfigured, "s3://recordings/a.mp3", tmp_path, **settings
    )


def test_a_url_without_a_bucket_needs_the_worker_s_own(tmp_path: Path) -> None:
    """Which this one does not have."""
    assert "S3_BUCKET" in refused(StorageNotConfigured, "s3:///a.mp3", tmp_path, **S3)


@pytest.mark.parametrize(
    "url",
    [
        "s3:a",
        "s3://",
        "s3://recordings",
        "s3://recordings/",
        "s3://UP/a",
        "s3://a/a",
        "s3://a b c/a",
        "s3://x@evil.example/a",
    ],
)
def test_an_s3_url_that_is_none_is_invalid(url: str, tmp_path: Path) -> None:
    """It has to name a bucket and a key."""
    refused(InvalidUrl, url, tmp_path, s3_bucket="own", **S3)


@pytest.mark.parametrize(
    ("code", "name", "words", "retryable"),
    [
        (404, "NoSuchKey", "no such object", False),
        (404, "NoSuchBucket", "no such object", False),
        (403, "AccessDenied", "refused access", False),
        (400, "ExpiredToken", "status 400", False),
        (503, "SlowDown", "status 503", True),
    ],
)
def test_what_the_storage_refuses_is_told(
    code: int, name: str, words: str, retryable: bool, store: media.Store, tmp_path: Path
) -> None:
    """And whether it makes sense to ask again."""
    store.fail("recordings", "a.mp3", code, name)
    with pytest.raises(DownloadFailed, match=words) as caught:
        get("s3://recordings/a.mp3", tmp_path, s3_endpoint=store.endpoint, **S3)
    assert caught.value.retryable is retryable


def test_wrong_keys_are_refused_by_the_storage(store: media.Store, tmp_path: Path) -> None:
    """The request is signed with those of the settings."""
    store.put("recordings", "a.mp3", BODY)
    stranger = {**S3, "s3_access_key": "stranger"}
    assert "keys" in refused(
        DownloadFailed, "s3://recordings/a.mp3", tmp_path, s3_endpoint=store.endpoint, **stranger
    )


def test_an_object_beyond_the_limit_is_refused(store: media.Store, tmp_path: Path) -> None:
    """By its length."""
    store.put("recordings", "a.mp3", BODY)
    refused(
        SourceTooLarge,
        "s3://recordings/a.mp3",
        tmp_path,
        s3_endpoint=store.endpoint,
        max_audio_bytes=1000,
        **S3,
    )


def test_a_storage_that_drips_is_given_up_at_the_deadline(
    host: media.Host, store: media.Store, tmp_path: Path
) -> None:
    """As any other host."""

    def answer(visit: media.Visit) -> None:
        visit.head(200, {"Content-Length": "1000000"})
        visit.drip(b"x")

    host.url("/recordings/a.mp3", answer)
    refused(
        DownloadTimedOut,
        "s3://recordings/a.mp3",
        tmp_path,
        s3_endpoint=store.endpoint,
        download_timeout=1,
        **S3,
    )


def test_a_storage_that_is_not_there_may_be_tried_again(tmp_path: Path) -> None:
    """A port on which nothing listens."""
    with media.host() as server:
        endpoint = media.Store(server).endpoint
    with pytest.raises(DownloadFailed) as caught:
        get("s3://recordings/a.mp3", tmp_path, s3_endpoint=endpoint, **S3)
    assert caught.value.retryable


def test_an_endpoint_that_is_no_url_is_the_operator_s_fault(tmp_path: Path) -> None:
    """And named."""
    assert "S3_ENDPOINT" in refused(
        DownloadFailed, "s3://recordings/a.mp3", tmp_path, s3_endpoint="nonsense", **S3
    )


# What is said


@pytest.mark.usefixtures("private")
def test_no_message_holds_a_secret(host: media.Host, store: media.Store, tmp_path: Path) -> None:
    """Neither a path, nor a query, nor a user, nor a key: not in the sentence and not in the
    traceback.
    """
    store.fail("recordings", "canary-path", 403, "AccessDenied")
    base = f"http://canary-user:canary-password@127.0.0.1:{host.server_port}"
    secret = "canary-path?X-Amz-Signature=canary-signature"
    host.answers |= {
        f"/{secret}": media.status(403),
        f"/loop/{secret}": media.redirects(f"/loop/{secret}"),
        f"/away/{secret}": media.redirects(f"http://169.254.169.254/{secret}"),
        f"/file/{secret}": media.redirects(f"file:///{secret}"),
        f"/cut/{secret}": lambda visit: visit.head(200, {"Content-Length": "9"}),
        f"/large/{secret}": media.gives(BODY),
    }
    urls = [f"{base}{path}" for path in (*host.answers, "/missing/" + secret)]
    urls += [
        f"http://canary-user:canary-password@127.0.0.1:1/{secret}",
        f"http://canary-user@nobody.invalid/{secret}",
        f"ftp://x/{secret}",
    ]
    urls += [
        "s3://recordings/canary-path",
        f"s3://recordings/missing/{secret}",
        "canary-not-base64-at-all!",
        f"http://[canary-path/{secret}",
    ]
    for url in urls:
        with pytest.raises(WorkerError) as caught:
            get(url, tmp_path, max_audio_bytes=1000, s3_endpoint=store.endpoint, **S3)
        said = "".join(traceback.format_exception_only(caught.value)) + chain(caught.value)
        assert "canary" not in said, url
        assert str(tmp_path) not in said, url


def chain(error: BaseException) -> str:
    """The messages that a printed traceback would have, without the lines of source."""
    seen = []
    cause: BaseException | None = error
    while cause is not None:
        seen.append(str(cause))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\n".join(seen)


def test_a_full_disk_is_not_the_caller_s_fault(tmp_path: Path) -> None:
    """`/dev/full` has no room for anything."""
    (tmp_path / "recording").symlink_to("/dev/full")
    with pytest.raises(DownloadFailed, match="disk is full") as caught:
        get(base64.b64encode(BODY).decode(), tmp_path)
    assert caught.value.retryable


def test_every_error_of_a_source_is_a_worker_s_error() -> None:
    """So that it reaches the caller with a code."""
    assert issubclass(errors.SourceError, WorkerError)
