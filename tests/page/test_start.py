"""The server's own page: a recording is dropped, and its transcript's page appears."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, FilePayload, Page, expect

from tests.handlers.openai.served import Served, served
from tests.page.browser import violations

KEY = "a-key-of-32-characters-or-so-0123"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    """A server that does what the recording says."""
    with served(tmp_path) as running:
        yield running


@pytest.fixture
def tab(browser: BrowserContext) -> Iterator[Page]:
    """A tab; nothing may break its policy, nor any script of it."""
    page = browser.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if "Policy" in said.text else None)
    yield page
    page.close()
    assert wrong == []


def choose(page: Page, server: Served, order: str) -> None:
    """Open the page and choose a recording, which says what the server does."""
    page.goto(f"http://127.0.0.1:{server.port}/")
    give(page, order)


def give(page: Page, order: str) -> None:
    """Choose a recording."""
    file = FilePayload(name="call.mp3", mimeType="audio/mpeg", buffer=order.encode())
    page.locator("#file").set_input_files(file)


def test_a_recording_becomes_a_page(tab: Page, server: Served) -> None:
    """With all its words; it is asked for with speakers."""
    choose(tab, server, "answer")
    transcript = tab.frame_locator("#page")
    expect(transcript.locator("#text")).to_contain_text("One two.")
    expect(transcript.locator("#text")).to_contain_text("Five six.")
    expect(tab.locator("#work")).to_be_hidden()
    assert server.flow.requests[0].speakers is not None


def test_words_are_shown_while_the_server_works(tab: Page, server: Served) -> None:
    """And a second recording takes the place of the first, which is cancelled."""
    choose(tab, server, "wait")
    expect(tab.locator("#words")).to_have_text("One two. Three")
    expect(tab.locator("#stage")).to_have_text("Listening…")
    give(tab, "answer")
    expect(tab.frame_locator("#page").locator("#text")).to_contain_text("Five six.")
    assert server.flow.cancelled.acquire(timeout=10)


def test_cancel_ends_the_work(tab: Page, server: Served) -> None:
    """On the server too."""
    choose(tab, server, "wait")
    expect(tab.locator("#words")).to_have_text("One two. Three")
    tab.locator("#cancel").click()
    expect(tab.locator("#error")).to_have_text("Cancelled.")
    assert server.flow.cancelled.acquire(timeout=10)


def test_an_error_is_shown(tab: Page, server: Served) -> None:
    """Before the first words and behind them."""
    choose(tab, server, "bug")
    expect(tab.locator("#error")).to_contain_text("the worker failed (KeyError)")
    give(tab, "poison")
    expect(tab.locator("#error")).to_contain_text("the GPU failed")


def test_a_key_is_asked_for(tab: Page, tmp_path: Path) -> None:
    """The page itself needs none."""
    with served(tmp_path, api_key=KEY) as server:
        choose(tab, server, "answer")
        expect(tab.locator("#error")).to_contain_text("the key is missing or wrong")
        tab.locator("#key").fill(KEY)
        give(tab, "answer")
        expect(tab.frame_locator("#page").locator("#text")).to_contain_text("Five six.")


def test_nobody_is_asked_but_this_server(tab: Page, server: Served) -> None:
    """Whatever is shown."""
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    choose(tab, server, "answer")
    expect(tab.frame_locator("#page").locator("#text")).to_contain_text("Five six.")
    own = (f"http://127.0.0.1:{server.port}/", "blob:", "data:")
    assert [url for url in asked if not url.startswith(own)] == []


def test_the_page_can_be_used_by_everybody(tab: Page, server: Served, axe: str) -> None:
    """By all rules of axe, before and during the work."""
    tab.goto(f"http://127.0.0.1:{server.port}/")
    assert violations(tab, axe) == []
    give(tab, "wait")
    expect(tab.locator("#words")).to_have_text("One two. Three")
    assert violations(tab, axe) == []
