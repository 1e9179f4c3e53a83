"""From where the caller says the recording is to a local file.

A kind of place is an `Origin`: it gives the bytes, and can be cut off from another thread. `fetch` chooses the origin by the scheme and holds what is
the same for all of them: one deadline for everything from the name lookup to the last byte, one cap on the bytes, one look at the caller's wish to stop.
"""

from __future__ import annotations

import binascii
import errno
import importlib.util
import ipaddress
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol
from urllib.parse import urlsplit

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
)
from core.schema import Source
from core.settings import Settings

_CHUNK_BYTES = 65_536
_CONNECT_TIMEOUT_S = 15.0
_POLL_S = 0.1
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")  # AWS: Amazon S3 general purpose bucket naming rules
_REGION = re.compile(r"(?:^|[.-])([a-z]{2,3}-[a-z]+-\d+)\.")

_NEVER_FETCHED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "169.254.0.0/16",  # link-local, RFC 3927: the metadata services of most clouds
        "100.100.100.200/32",  # metadata, Alibaba Cloud
        "168.63.129.16/32",  # platform address, Azure
        "192.0.0.0/24",  # protocol assignments, RFC 6890; metadata, Oracle Cloud
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "fe80::/10",  # link-local, RFC 4291
        "fec0::/10",  # site-local, RFC 3879
        "fd00:ec2::/32",  # metadata, AWS
        "2002::/16",  # 6to4, RFC 3056: carries any IPv4 address
        "2001::/32",  # Teredo, RFC 4380: the same
        "64:ff9b::/96",  # NAT64, RFC 6052: the same
        "64:ff9b:1::/48",  # NAT64, RFC 8215: the same
    )
)
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)  # RFC 5214: bits 32–63 of an address that carries any IPv4 address


class Origin(Protocol):
    """A place that a recording comes from."""

    def chunks(self) -> Iterator[bytes]:
        """Give the file, piece by piece; raises SourceError or RequestError."""

    def cut(self) -> None:
        """Make a `chunks` that runs in another thread end soon."""


def _never() -> bool:
    return False


@contextmanager
def job_folder(temp_dir: Path) -> Iterator[Path]:
    """Give a fresh folder that only this user can enter, and remove it with all that is in it, whatever happens."""
    temp_dir.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="job-", dir=temp_dir, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def fetch(source: Source, folder: Path, *, settings: Settings, cancelled: Callable[[], bool] = _never) -> Path:
    """Bring the recording into `folder` and return the file.

    Raises InvalidUrl, BlockedAddress, DownloadFailed, DownloadTimedOut, StorageNotConfigured, SourceTooLarge, InvalidBase64, EmptyAudio, Cancelled.
    """
    origin = _origin(source.value, settings)
    path = folder / "recording"
    stopped = threading.Event()

    def save() -> None:
        _save(origin.chunks(), path, settings.max_audio_bytes, stopped)

    def stop() -> None:
        stopped.set()
        origin.cut()

    _run_within(save, settings.download_timeout, cancelled, stop)
    return path


def _origin(value: str, settings: Settings) -> Origin:
    match = _SCHEME.match(value)
    scheme = match[1].lower() if match else None
    if scheme in ("http", "https"):
        return Web(value, max_bytes=settings.max_audio_bytes, timeout_s=settings.download_timeout)
    if scheme == "s3":
        return Bucket(value, settings)
    if scheme in (None, "data"):
        return Inline(value, max_bytes=settings.max_audio_bytes)
    raise InvalidUrl(f"{scheme[:20]}: is not fetched; give an http(s):// or s3:// URL, a data: URI or base64 text")


def _save(chunks: Iterator[bytes], path: Path, max_bytes: int, stopped: threading.Event) -> None:
    size = 0
    try:
        with path.open("wb") as file:
            for chunk in chunks:
                size += len(chunk)
                if size > max_bytes:
                    raise _too_large(max_bytes)
                if stopped.is_set():
                    return
                file.write(chunk)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DownloadFailed("the worker's disk is full; try again later", retryable=True) from None
        raise
    if not size:
        raise EmptyAudio("the recording has no bytes; check that the upload was complete")


def _run_within(work: Callable[[], None], timeout_s: float, cancelled: Callable[[], bool], stop: Callable[[], None]) -> None:
    """Run `work` in a thread of its own; leave it behind, stopped, at the deadline.

    A thread, because no timeout of a socket library is total: each holds for one read, and a host that drips never runs into it.
    """
    done: Future[None] = Future()
    deadline = time.monotonic() + timeout_s
    threading.Thread(target=_fulfil, args=(done, work), name="fetch", daemon=True).start()
    try:
        while not wait([done], timeout=min(_POLL_S, max(0.0, deadline - time.monotonic()))).done:
            if cancelled():
                raise Cancelled("the job was cancelled while the recording was fetched")
            if time.monotonic() >= deadline:
                raise DownloadTimedOut(f"the recording did not arrive within {timeout_s:g} s; try again, or host it closer")
    finally:
        stop()
    done.result()


def _fulfil(promise: Future[None], work: Callable[[], None]) -> None:
    try:
        work()
    except BaseException as error:
        promise.set_exception(error)
    else:
        promise.set_result(None)


def _too_large(max_bytes: int) -> SourceTooLarge:
    return SourceTooLarge(
        f"the recording is larger than {max_bytes:,} bytes, the most this worker takes; send a compressed format or a part of it"
    )


def _is_transient(status: int) -> bool:
    return status in (408, 425, 429) or status >= 500


class Inline:
    """The file itself, as base64 text or a `data:` URI (RFC 2397). The URL-safe alphabet and line breaks are allowed."""

    def __init__(self, value: str, *, max_bytes: int) -> None:
        self._value = value
        self._max_bytes = max_bytes

    def chunks(self) -> Iterator[bytes]:
        """Give the decoded file in one piece; raises InvalidBase64, or SourceTooLarge before anything is decoded."""
        text = "".join(self._text().split()).translate({ord("-"): "+", ord("_"): "/"})
        if len(text) // 4 * 3 - text.count("=", -2) > self._max_bytes:
            raise _too_large(self._max_bytes)
        try:
            yield binascii.a2b_base64(text, strict_mode=True)
        except ValueError:
            raise InvalidBase64("not base64; give an http(s):// or s3:// URL, a data: URI or the whole file as base64 text") from None

    def _text(self) -> str:
        if self._value[:5].lower() != "data:":
            return self._value
        head, comma, text = self._value.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise InvalidBase64("the data: URI is not base64; it must look like data:audio/wav;base64,…")
        return text

    def cut(self) -> None:
        """Nothing to wait for."""


class Web:
    """An http(s) URL, fetched through the guard of the RunPod SDK against requests to addresses that are not public."""

    def __init__(self, url: str, *, max_bytes: int, timeout_s: float, is_allowed: Callable[[str], bool] | None = None) -> None:
        """`is_allowed` says of an IP address whether it may be connected to; by default the SDK's rule, which its environment switch opens."""
        self._host = _host(url)
        self._url = url
        self._max_bytes = max_bytes
        self._timeouts_s = (min(_CONNECT_TIMEOUT_S, timeout_s), timeout_s)
        self._is_allowed = is_allowed
        self._sockets = _Sockets()

    def chunks(self) -> Iterator[bytes]:
        """Give the body of the answer, decompressed where the host compressed it."""
        import requests

        guard = _guard(self._sockets, self._is_allowed)
        try:
            with guard.safe_get(
                self._url, timeout=self._timeouts_s, headers={"Accept-Encoding": "identity"}, max_bytes=self._max_bytes
            ) as response:
                self._check_status(response.status_code)
                yield from guard.iter_content_capped(response, _CHUNK_BYTES, self._max_bytes)
        except guard.SSRFError as error:
            raise self._refusal(str(error)) from None
        except requests.Timeout:
            raise DownloadTimedOut(f"{self._host} did not answer in time; try again") from None
        except ValueError:
            raise InvalidUrl(f"the URL at {self._host}, or one that it redirects to, cannot be read; give the final URL") from None
        except requests.RequestException:
            raise DownloadFailed(f"the connection to {self._host} failed or broke off; try again", retryable=True) from None

    def cut(self) -> None:
        """Close the connection under the reader."""
        self._sockets.cut()

    def _check_status(self, status: int) -> None:
        if status == 200:
            return
        retryable = _is_transient(status)
        advice = "try again later" if retryable else "check that the URL is right, public and not expired"
        raise DownloadFailed(f"{self._host} answered with HTTP status {status}; {advice}", retryable=retryable)

    def _refusal(self, reason: str) -> Exception:
        # The SDK has one exception for all of them; its texts hold the URL. tests/core/test_sources.py pins these words.
        if "size cap" in reason:
            return _too_large(self._max_bytes)
        if "redirects" in reason or "without Location" in reason:
            return DownloadFailed(f"{self._host} redirects too often or to nowhere; give the final URL")
        if "through proxy" in reason:
            return BlockedAddress(
                f"{self._host} would be reached through a proxy, where addresses cannot be checked; exempt it in NO_PROXY"
            )
        return BlockedAddress(f"{self._host} redirects to something that is not http(s); give the final URL")


def _host(url: str) -> str:
    """The host to name in messages; raises InvalidUrl where there is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port == 0 or not host.isprintable() or re.search(r"[\s\\]", url):
        raise InvalidUrl("the URL has no valid host, or holds blanks or backslashes; give it in full, percent-encoded")
    return host[:253]


class _Sockets:
    """The connections of one download."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._is_cut = False

    def add(self, connected: socket.socket) -> None:
        with self._lock:
            self._open.append(connected)
        if self._is_cut:
            self.cut()

    def cut(self) -> None:
        with self._lock:
            self._is_cut = True
            for connected in self._open:
                with suppress(OSError):
                    connected.shutdown(socket.SHUT_RDWR)


def _guard(sockets: _Sockets, is_allowed: Callable[[str], bool] | None) -> Any:
    """Give the SDK's `rp_ssrf` as a module of our own, so that what is tightened here changes nothing for the SDK.

    Tightened: the addresses of `_NEVER_FETCHED` are refused on every hop, even where the operator opened private ones; connections can be cut.
    """
    spec = importlib.util.find_spec("runpod.serverless.utils.rp_ssrf")
    if spec is None or spec.loader is None:
        raise ImportError("runpod.serverless.utils.rp_ssrf is missing; install runpod 1.12")
    guard: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(guard)
    resolve = guard.resolve_and_validate
    guard.is_safe_address = is_allowed or guard.is_safe_address

    def resolve_strictly(host: str, port: int) -> list[str]:
        try:
            addresses: list[str] = resolve(host, port)
        except guard.SSRFError as error:
            raise _unresolved(host, error.__cause__) from None
        if any(_is_never_fetched(address) for address in addresses):
            raise _blocked(host)
        return addresses

    class CuttableAdapter(guard.PinnedIPAdapter):  # type: ignore[misc]
        def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
            pool = super().get_connection_with_tls_context(*args, **kwargs)
            pool.ConnectionCls = _watched(pool.ConnectionCls, sockets)
            return pool

    guard.resolve_and_validate = resolve_strictly
    guard.PinnedIPAdapter = CuttableAdapter
    return guard


def _watched(kind: Any, sockets: _Sockets) -> Any:
    class Watched(kind):  # type: ignore[misc]
        def connect(self) -> None:
            super().connect()
            sockets.add(self.sock)

    return Watched


def _unresolved(host: str, cause: BaseException | None) -> Exception:
    if not isinstance(cause, socket.gaierror):
        return _blocked(host)
    return DownloadFailed(f"the host {host[:253]} was not found; check the URL", retryable=cause.errno == socket.EAI_AGAIN)


def _blocked(host: str) -> BlockedAddress:
    return BlockedAddress(f"{host[:253]} leads to an address that is not public; host the recording where the internet can reach it")


def _is_never_fetched(text: str) -> bool:
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    if isinstance(address, ipaddress.IPv6Address) and (int(address) >> 32 & 0xFFFF_FFFF) in _ISATAP:
        return True
    return any(address in network for network in _NEVER_FETCHED if network.version == address.version)


class Bucket:
    """An object in S3 or in a store that speaks its protocol: `s3://bucket/key`, or `s3:///key` in the bucket of the settings."""

    def __init__(self, url: str, settings: Settings) -> None:
        """Raises StorageNotConfigured, InvalidUrl."""
        # Not urlsplit: a key may hold «?» and «#».
        bucket, _, self._key = url[len("s3://") :].partition("/")
        if settings.s3_access_key is None or settings.s3_secret_key is None:
            raise StorageNotConfigured(
                "s3:// needs S3_ACCESS_KEY and S3_SECRET_KEY on the worker; set them, or give a presigned https:// URL"
            )
        if not bucket and not settings.s3_bucket:
            raise StorageNotConfigured("the URL names no bucket and the worker has no S3_BUCKET; give s3://bucket/key")
        self._bucket = bucket or str(settings.s3_bucket)
        if not url[:5].lower() == "s3://" or not self._key or not _BUCKET.fullmatch(self._bucket):
            raise InvalidUrl("not an S3 URL; it must look like s3://bucket/key")
        self._endpoint = settings.s3_endpoint
        self._access_key, self._secret_key = settings.s3_access_key, settings.s3_secret_key
        self._max_bytes = settings.max_audio_bytes

    def chunks(self) -> Iterator[bytes]:
        """Give the object."""
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

        try:
            answer = self._client().get_object(Bucket=self._bucket, Key=self._key)
            if answer["ContentLength"] > self._max_bytes:
                raise _too_large(self._max_bytes)
            with answer["Body"] as body:
                yield from body.iter_chunks(_CHUNK_BYTES)
        except ClientError as error:
            raise self._refusal(error.response["ResponseMetadata"]["HTTPStatusCode"]) from None
        except HTTPClientError:
            raise DownloadFailed("the connection to the S3 storage failed or broke off; try again", retryable=True) from None
        except (BotoCoreError, ValueError):
            raise DownloadFailed("the S3 storage cannot be used; check S3_ENDPOINT and the URL") from None

    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        region = _REGION.search(self._endpoint or "")
        config = Config(
            connect_timeout=_CONNECT_TIMEOUT_S,
            read_timeout=60,
            retries={"total_max_attempts": 2, "mode": "standard"},
            # By path, not by host name: stores other than AWS seldom have a name per bucket.
            s3={"addressing_style": "path" if self._endpoint else "auto"},
        )
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self._endpoint,
            region_name=region[1] if region else None,
            aws_access_key_id=self._access_key.get_secret_value(),
            aws_secret_access_key=self._secret_key.get_secret_value(),
            config=config,
        )

    def _refusal(self, status: int) -> DownloadFailed:
        if status in (401, 403):
            return DownloadFailed("the S3 storage refused access to the object; check the S3 settings' keys and the URL")
        if status == 404:
            return DownloadFailed("the S3 storage has no such object; check the bucket and the key in the URL")
        retryable = _is_transient(status)
        advice = "try again later" if retryable else "check S3_ENDPOINT and the URL"
        return DownloadFailed(f"the S3 storage answered with HTTP status {status}; {advice}", retryable=retryable)

    def cut(self) -> None:
        """Nothing: the storage is the operator's own, and `fetch` stops taking its chunks."""
