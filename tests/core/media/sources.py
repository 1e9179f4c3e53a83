"""Short words for the tests of sources: fetch and read, fetch in vain, answers of bad hosts."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from core.domain.request import Source
from core.errors import WorkerError
from core.media.fetch import fetch
from core.media.guarded import Reach
from core.media.web import Web
from core.settings import Settings
from tests import media

SWITCH = "RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS"
BODY = bytes(range(256)) * 1000
EVERYWHERE = Reach(lambda _: True, None)
"""Loopback too, at every port."""
S3 = {"s3_access_key": media.Store.ACCESS_KEY, "s3_secret_key": "secret-canary"}


def get(
    value: str, folder: Path, cancelled: Callable[[], bool] = lambda: False, **settings: object
) -> bytes:
    """Fetch and read."""
    return fetch(
        Source(value),
        folder,
        settings=Settings(**settings),  # type: ignore[arg-type]
        cancelled=cancelled,
    ).read_bytes()


def refused(kind: type[WorkerError], value: str, folder: Path, **settings: object) -> str:
    """Fetch in vain; return the message."""
    with pytest.raises(kind) as caught:
        get(value, folder, **settings)
    return str(caught.value)


def download(url: str, **options: object) -> bytes:
    """Read a URL without a file and without a deadline for the whole."""
    web = Web(url, **{"max_bytes": 1_000_000, "timeout_s": 10, **options})  # type: ignore[arg-type]
    return b"".join(web.chunks())


def sends(data: bytes) -> media.Answer:
    """Answer with these bytes, head included."""
    return lambda visit: visit.write(data)


def drips(head: bytes, drop: bytes = b"x") -> media.Answer:
    """Answer with some bytes, and then with a few more for ever."""
    return lambda visit: (visit.write(head), visit.drip(drop))[0]


def certify(server: media.Host, folder: Path) -> Path:
    """Let a host speak TLS, as 127.0.0.1 and as name.test; return its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("name.test")]
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(1))
        .not_valid_after(now + datetime.timedelta(1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
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
