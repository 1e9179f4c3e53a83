"""Who is answered: whoever has the key, or without one this machine alone."""

from __future__ import annotations

import hmac

from starlette.datastructures import Headers

from handlers.openai.errors import WrongHost, WrongKey
from handlers.openai.settings import LOOPBACK, ServerSettings


class Door:
    """Lets requests in."""

    def __init__(self, settings: ServerSettings) -> None:
        self._key = settings.key
        self._is_open = settings.allow_anonymous

    def check(self, headers: Headers) -> None:
        """Raise WrongKey, or WrongHost."""
        if self._key is not None:
            self._check_key(headers.get("authorization", ""))
        elif not self._is_open:
            _check_host(headers)

    def _check_key(self, header: str) -> None:
        scheme, _, given = header.partition(" ")
        key = given.strip().encode("utf-8", "replace")
        # Compared in constant time, so that nobody learns the key from how long a refusal takes.
        if scheme.lower() != "bearer" or not hmac.compare_digest(key, self._key or b""):
            raise WrongKey("the key is missing or wrong; send Authorization: Bearer <API_KEY>")


def _check_host(headers: Headers) -> None:
    """Refuse what a web page sends through its reader's browser, under whatever name it has."""
    hosts = [headers.get("host", "")]
    if "origin" in headers:
        hosts.append(headers["origin"].partition("://")[2])
    if any(_name(host) not in LOOPBACK for host in hosts):
        raise WrongHost(
            "without API_KEY only programs on this machine are answered, at localhost or 127.0.0.1"
        )


def _name(host: str) -> str:
    """Return a host without its port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()
