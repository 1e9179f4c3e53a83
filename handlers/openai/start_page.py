"""The page at `GET /`: drop a recording, see the words come, and read the transcript's own page.

It is one file. Its policy allows its own script and that of the transcript's page, which is shown
in a frame that has no origin, and requests to this server alone.
"""

from __future__ import annotations

import functools
from pathlib import Path

from core.wire import html
from handlers.openai.answering import Body

_FOLDER = Path(__file__).with_name("start")


@functools.cache
def start_page() -> Body:
    """Return the page."""
    style, script = (_read(name) for name in ("start.css", "start.js"))
    page = _read("start.html").replace("%style%", style).replace("%script%", script)
    scripts, styles = html.sums()
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src '{html.sum_of(script)}' '{scripts}'",
            f"style-src '{html.sum_of(style)}' '{styles}'",
            "connect-src 'self'",
            "frame-src blob:",
            "img-src data:",
            "media-src blob: https: http:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache"}
    return Body(page.encode(), "text/html; charset=utf-8", headers)


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
