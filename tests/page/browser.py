"""Chromium of the system, which talks to nobody, and the checker of accessibility."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, sync_playwright

QUIET = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--mute-audio"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
AXE = "axe-core@4.14.1"
AXE_SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"


@contextlib.contextmanager
def chromium(**options: Any) -> Iterator[BrowserContext]:
    """Start Chromium with an empty profile; `options` are Playwright's, such as `color_scheme`."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        raise RuntimeError("there is no chromium: apt-get install chromium")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=found, args=list(QUIET), **options
        )
        try:
            yield context
        finally:
            context.close()


def opened(context: BrowserContext, html: str, folder: Path) -> Page:
    """Open a page from a file of its own; any error in its script fails the test that uses it."""
    path = folder / "page.html"
    path.write_text(html, encoding="utf-8")
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(path.as_uri())
    assert errors == []
    return page


def wait_until(page: Page, expression: str, timeout_s: float = 10.0) -> None:
    """Wait until JavaScript is true. Playwright's own way needs what the page's policy forbids."""
    deadline = time.monotonic() + timeout_s
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(50)


def axe_script(folder: Path) -> str:
    """Fetch axe-core, which is never part of the project, and return its script."""
    subprocess.run(
        ["npm", "pack", "--silent", AXE], cwd=folder, check=True, capture_output=True, timeout=120
    )
    shutil.unpack_archive(next(folder.glob("axe-core-*.tgz")), folder, filter="data")
    script = (folder / "package" / "axe.min.js").read_bytes()
    assert hashlib.sha256(script).hexdigest() == AXE_SHA256
    return script.decode()


def violations(page: Page, axe: str) -> list[str]:
    """Return what axe finds wrong with a page as it is now, by all of its rules."""
    page.evaluate(f"{axe}; 0")
    found = page.evaluate("axe.run().then((result) => result.violations)")
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]
