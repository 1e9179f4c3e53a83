"""The page of a transcript in Chromium: how soon it is shown, how it scrolls, what axe says of it.

    python -m bench.page [--words 30000] [--repeat 5] [--screenshots docs/page]

The words are made up from a seed. Every time is the browser's own: from the start of the navigation
to the first contentful paint, and from one frame to the next while the page scrolls from its start
to its end. Needs chromium and npm, as `make test-page` does. Exit with code 1 if the first paint
takes more than a second or axe finds anything.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import BrowserContext, Page

from tests.page.browser import axe_script, chromium, opened, violations, wait_until
from tests.page.transcripts import RECORDING, ROOT, long, page_of, told

FIRST_PAINT_MS = 1000
FRAMES = 600
"""Frames in which the whole page goes by; ten seconds at 60 a second."""
DESK = {"width": 1200, "height": 900}
PHONE = {"width": 390, "height": 844}
DIALOGUE = ROOT / "examples" / "dialogue.json"

_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
_SHOWN = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
_SCROLL = """async (frames) => {
  const far = document.documentElement.scrollHeight;
  const times = [];
  for (let at = 0; at <= frames; at += 1) {
    times.push(await new Promise((resolve) => requestAnimationFrame(resolve)));
    scrollTo(0, (far * at) / frames);
  }
  return times.slice(1).map((time, at) => time - times[at]);
}"""
_SEARCH = """(text) => {
  const began = performance.now();
  document.getElementById("query").value = text;
  search();
  document.body.getBoundingClientRect();
  return performance.now() - began;
}"""


def main() -> None:
    """Measure, and take the pictures if they are asked for."""
    options = _parser().parse_args()
    with TemporaryDirectory() as folder, chromium(viewport=DESK) as context:
        html = page_of(long(options.words))
        first_ms = measure(context, html, Path(folder), options.repeat)
        found = check(context, axe_script(Path(folder)), Path(folder), html)
        if options.screenshots:
            take(context, Path(folder), options.screenshots, html)
    if first_ms > FIRST_PAINT_MS or found:
        sys.exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--words", type=int, default=30_000, help="default: 30000")
    parser.add_argument("--repeat", type=int, default=5, help="default: 5")
    parser.add_argument("--screenshots", type=Path, metavar="FOLDER", help="take pictures too")
    return parser


def measure(context: BrowserContext, html: str, folder: Path, repeat: int) -> float:
    """Print the times of a page, and return the median first paint in milliseconds."""
    print(f"page: {len(html.encode()) / 1e6:.2f} MB")
    paints, shown = [], []
    for _ in range(repeat):
        page = opened(context, html, folder)
        wait_until(page, f"{_PAINT} > 0")
        paints.append(float(page.evaluate(_PAINT)))
        shown.append(float(page.evaluate(_SHOWN)))
        frames = [float(one) for one in page.evaluate(_SCROLL, FRAMES)]
        searched = [float(page.evaluate(_SEARCH, text)) for text in ("e", "the")]
        page.close()
    print(f"first contentful paint: {_spread(paints)}")
    print(f"all words are there: {_spread(shown)}")
    _print_frames(frames)
    print(f"search for e: {searched[0]:.0f} ms; for the: {searched[1]:.0f} ms")
    return statistics.median(paints)


def _spread(times_ms: list[float]) -> str:
    return f"{statistics.median(times_ms):.0f} ms ({min(times_ms):.0f} to {max(times_ms):.0f})"


def _print_frames(frames_ms: list[float]) -> None:
    """Print how long frames took, of the last run."""
    ordered = sorted(frames_ms)
    slow = sum(one > 50 for one in ordered)
    print(
        f"scrolling, {len(ordered)} frames: median {statistics.median(ordered):.1f} ms, "
        f"95th percentile {ordered[round(0.95 * len(ordered))]:.1f} ms, longest {ordered[-1]:.0f} "
        f"ms; {slow} of them over 50 ms"
    )


def check(context: BrowserContext, axe: str, folder: Path, html: str) -> int:
    """Print what axe finds, in both color schemes, and return how much that is."""
    found = []
    for made in (html, page_of(told(DIALOGUE))):
        page = opened(context, made, folder)
        for scheme in _SCHEMES:
            page.emulate_media(color_scheme=scheme)
            found += violations(page, axe)
        page.close()
    print(f"axe: {len(found)} violations", *found, sep="\n  ")
    return len(found)


_SCHEMES: Any = ("light", "dark")


def take(context: BrowserContext, folder: Path, to: Path, html: str) -> None:
    """Take the pictures of docs/."""
    to.mkdir(parents=True, exist_ok=True)
    dialogue = page_of(told(DIALOGUE))

    def picture(name: str, made: str, prepare: Callable[[Page], None]) -> None:
        page = opened(context, made, folder)
        prepare(page)
        page.wait_for_timeout(300)
        page.screenshot(path=to / f"{name}.png")
        page.close()

    picture("light", dialogue, _listen)
    picture("dark", dialogue, _edit_in_the_dark)
    picture("phone", dialogue, _on_a_phone)
    picture("long", html, _find_the_end)


def _listen(page: Page) -> None:
    _name(page)
    page.locator("#file").set_input_files(ROOT / "examples" / RECORDING.name)
    wait_until(page, "audio.readyState > 0")
    page.evaluate("document.querySelector('details').open = false; seek(7.9)")
    page.locator("#query").fill("door")


def _name(page: Page) -> None:
    page.evaluate("document.querySelector('details').open = true")
    page.get_by_label("Title").fill("Three at a table")
    for at, name in enumerate(("Ada", "Grace", "Mary")):
        page.locator("#speakers input").nth(at).fill(name)
    page.keyboard.press("Tab")


def _edit_in_the_dark(page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    _name(page)


def _on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    _name(page)
    page.evaluate("document.querySelector('details').open = false; seek(7.9)")


def _find_the_end(page: Page) -> None:
    page.set_viewport_size({"width": DESK["width"], "height": DESK["height"]})
    page.locator("#query").fill("wednesday")
    page.keyboard.press("Shift+Enter")


if __name__ == "__main__":
    main()
