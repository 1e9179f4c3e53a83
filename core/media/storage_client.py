"""boto3's client for S3, over connections that another thread can cut, without long errors."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies
from urllib3.connection import HTTPConnection

from core.media.connections import Connections, resolve
from core.media.origin import CHUNK_BYTES, CONNECT_TIMEOUT_S
from core.media.pools import pools, seconds_to_connect

_READ_TIMEOUT_S = 60.0
_MOST_ERROR_BYTES = 65_536
"""A description of an error that is longer counts as none."""
_REGION = re.compile(r"(?:^|[.-])([a-z]{2,3}-[a-z]+-\d+)\.")
"""Requests are signed for a region; AWS, Wasabi, Backblaze and RunPod's volumes name it in their
hosts.
"""


def storage_client(
    endpoint: str | None, access_key: str, secret_key: str, connections: Connections
) -> Any:
    """Return a client of a store; raise BotoCoreError or ValueError if there can be no such
    endpoint.
    """
    region = _REGION.search(endpoint or "")
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        region_name=region[1] if region else None,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(
            retries={"total_max_attempts": 2, "mode": "standard"},
            # Many stores do not know the sums that newer clients append to what they send.
            request_checksum_calculation="when_required",
            # Stores other than AWS seldom have a host name per bucket.
            s3={"addressing_style": "path" if endpoint else "auto"},
        ),
    )
    session = _Session(
        connections,
        timeout=(CONNECT_TIMEOUT_S, _READ_TIMEOUT_S),
        verify=_certificates(),
        proxies=get_environ_proxies(client.meta.endpoint_url),
    )
    client.meta.events.register("before-send.s3", session.send_for_client)
    return client


def _certificates() -> str | bool:
    """Return the certificates to trust, from where botocore takes them."""
    return os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE") or True


class _Session(URLLib3Session):
    """Sends the requests of one client."""

    _manager: Any

    def __init__(self, connections: Connections, **options: Any) -> None:
        super().__init__(**options)
        self._connections = connections
        self._pool_classes_by_scheme = pools(self._connect)
        self._manager.pool_classes_by_scheme = self._pool_classes_by_scheme

    def send_for_client(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        """Answer botocore's event before it sends a request: then it sends none itself."""
        answer = self.send(request)
        if answer.status_code >= 300:
            answer.raw = _ErrorBody(answer.raw)
        return answer

    def _connect(self, connection: HTTPConnection) -> socket.socket:
        # The host is the store's, or that of the operator's proxy.
        peers = resolve(connection.host, connection.port)
        return self._connections.connect(peers, seconds_to_connect(connection))


class _ErrorBody:
    """The body of an answer that is no object: botocore reads it whole."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        """Yield the body in one piece, or nothing if it is too long."""
        read = b""
        try:
            for chunk in self._body.stream(CHUNK_BYTES):
                read += chunk
                if len(read) > _MOST_ERROR_BYTES:
                    return
            yield read
        finally:
            self._body.close()
