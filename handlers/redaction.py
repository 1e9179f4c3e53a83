"""A log without the secrets of URLs, whichever library writes a line.

A URL may be presigned: whoever reads its query reads the recording.
"""

from __future__ import annotations

import logging
import re

_USER = re.compile(r"(?<=://)[^\s/?#@]*@")
_QUERY = re.compile(r"(?<=\S)\?(?=[^\s?])\S*")
_FRAGMENT = re.compile(r"(://[^\s#]{1,2000})#\S*")
_NAMED = re.compile(
    r"""(
        (?: \b(?: authorization | credential | (?:[\w-]{0,40}-)?signature | (?:set-)?cookie
            | x-amz-[\w-]+ ) ["']? \s* [:=] \s* )
        |
        (?: [\w-]{0,40}(?: token | secret | api_?key | access_?key(?:_?id)? | password | sig )
            ["']? = \s* )
    )
    (?: b?["'] )? (?: (?: bearer | basic | aws4-hmac-sha256 ) \s+ )? [^\s"'&,;]+
    """,
    re.IGNORECASE | re.VERBOSE,
)


def redacted(text: str) -> str:
    """Return a text without users, queries and fragments of URLs, and without what is named like a
    secret.
    """
    text = _USER.sub("", text)
    text = _FRAGMENT.sub(r"\1#…", _QUERY.sub("?…", text))
    return _NAMED.sub(r"\1…", text)


class Redacting(logging.Formatter):
    """Redacts a line as a whole: its message, its traceback and what the message was made of."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        return redacted(super().format(record))
