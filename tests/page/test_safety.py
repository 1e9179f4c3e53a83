"""No word and no name can break the page, and nobody is asked for anything."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, expect

from core.wire.fields import one_line
from tests.page import transcripts
from tests.page.conftest import Open


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve a folder on this machine; yield its URL, and the paths as they are asked for."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

        def log_request(self, *_: object) -> None:
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def is_hacked(page: Page) -> bool:
    """Tell whether any injected code ran."""
    return bool(page.evaluate("'hacked' in window"))


def test_hostile_words_and_names_are_shown_as_they_are(show: Open) -> None:
    """Tags, quotes, line separators, ends of scripts: text, and nothing else."""
    page = show(transcripts.hostile())
    # A browser shows half a character as U+FFFD.
    wanted = [one_line(text) for text in transcripts.HOSTILE]
    assert page.locator("#text .w").all_text_contents() == wanted
    assert page.locator("script").count() == 2
    assert page.locator("img").count() == 0
    assert not is_hacked(page)


def test_a_hostile_name_that_is_typed_is_text_too(show: Open, tmp_path: Path) -> None:
    """In headings, lanes and lists, and in the page that is saved."""
    name = "</script><img src=x onerror=window.hacked=1>\"'&amp;\u2028"
    page = show(transcripts.golden())
    page.locator("summary").first.click()
    page.get_by_label("Name of Speaker A").fill(name)
    page.get_by_label("Title").fill(name)
    page.locator("#text").click(position={"x": 1, "y": 1})
    expect(page.locator("#text h3").first).to_have_text(one_line(name))
    saved = tmp_path / "saved.html"
    saved.write_text(page.evaluate("exported('html')"), encoding="utf-8")
    page.goto(saved.as_uri())
    expect(page.locator("#text h3").first).to_have_text(one_line(name))
    expect(page.locator("h1")).to_have_text(one_line(name))
    assert not is_hacked(page)


def test_nobody_is_asked_for_anything(browser: BrowserContext, tmp_path: Path) -> None:
    """The page is the only request, for its icon either; not even after everything was used."""
    (tmp_path / "page.html").write_text(transcripts.page_of(transcripts.golden()), "utf-8")
    page = browser.new_page()
    with served(tmp_path) as (url, asked):
        page.goto(f"{url}/page.html")
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        page.locator("#query").fill("the")
        page.locator("#text .w").first.click()
        page.evaluate("Object.keys(EXPORTS).forEach((kind) => exported(kind))")
        page.wait_for_timeout(300)
        assert asked == ["/page.html"]
    page.close()


def test_the_policy_forbids_scripts_and_requests(show: Open) -> None:
    """Even if something got in: no script, no style, no picture, no connection."""
    page = show(transcripts.golden())
    blocked = page.evaluate(
        """async () => {
          const blocked = [];
          document.addEventListener("securitypolicyviolation", (event) =>
            blocked.push(event.effectiveDirective));
          await fetch("https://127.0.0.1:9/").catch(() => null);
          for (const [name, more] of [["img", {src: "https://127.0.0.1:9/"}],
                                      ["iframe", {src: "https://127.0.0.1:9/"}],
                                      ["style", {textContent: "p { color: red }"}]]) {
            document.body.append(Object.assign(document.createElement(name), more));
          }
          try { document.body.innerHTML = "<b>hacked</b>"; } catch { blocked.push("innerHTML"); }
          await new Promise((resolve) => setTimeout(resolve, 200));
          return blocked;
        }"""
    )
    wanted = {"connect-src", "img-src", "frame-src", "style-src-elem", "innerHTML"}
    assert wanted <= set(blocked)
