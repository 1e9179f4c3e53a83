"""JSON that can always be sent, whatever a client's strings hold."""

from __future__ import annotations

import json

from fastapi.responses import JSONResponse


def written(value: object) -> bytes:
    """Write a value down; a lone surrogate, which UTF-8 does not have, as its escape."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


class Written(JSONResponse):
    """An answer in JSON."""

    def render(self, content: object) -> bytes:
        """See `written`."""
        return written(content)
