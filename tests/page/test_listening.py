"""The recording, heard from the page."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from core.wire import html
from handlers.cli.written import write
from tests.page import transcripts
from tests.page.browser import opened, wait_until
from tests.page.conftest import Open
from tests.page.test_safety import served


def time_of(page: Page) -> float:
    """Where the recording is, in seconds."""
    return float(page.evaluate("document.getElementById('audio').currentTime"))


def choose(page: Page) -> None:
    """Choose the recording, and wait until its length is known."""
    page.locator("#file").set_input_files(transcripts.RECORDING)
    wait_until(page, "audio.readyState > 0")


@contextlib.contextmanager
def beside(browser: BrowserContext, folder: Path, is_served: bool) -> Iterator[Page]:
    """Open a page in a folder whose recording should be `call.mp3` there."""
    made = html.page(transcripts.golden(), recording="call.mp3")["html"]
    (folder / "page.html").write_text(str(made), "utf-8")
    page = browser.new_page()
    with served(folder) as (url, _):
        page.goto(f"{url if is_served else folder.as_uri()}/page.html")
        yield page
    page.close()


def test_a_click_on_a_word_plays_it_and_what_follows_is_marked(show: Open) -> None:
    """The marked word is the one that is being said."""
    transcript = transcripts.golden()
    page = show(transcript)
    choose(page)
    at = 30
    page.locator("#text .w").nth(at).click()
    expect(page.locator("#play")).to_have_text("Pause")
    wait_until(page, f"audio.currentTime > {transcript.words[at + 3].start}")
    page.keyboard.press(" ")
    expect(page.locator("#play")).to_have_text("Play")
    said = [word.text for word in transcript.words if word.start <= time_of(page)]
    expect(page.locator("#text .now")).to_have_text(said[-1])
    assert len(said) > at


def test_words_timeline_and_keys_seek(show: Open) -> None:
    """To the same times."""
    transcript = transcripts.golden()
    page = show(transcript)
    choose(page)
    page.keyboard.press("n")
    page.keyboard.press("n")
    assert abs(time_of(page) - transcript.words[12].start) < 0.01
    page.keyboard.press("l")
    assert abs(time_of(page) - transcript.words[12].start - 5) < 0.01
    drawing = page.locator("#lanes svg").first
    box = drawing.bounding_box()
    assert box is not None
    drawing.click(position={"x": box["width"] / 2, "y": 5})
    assert abs(time_of(page) - transcript.duration / 2) < 0.1


def test_a_recording_by_url_is_heard(browser: BrowserContext, tmp_path: Path) -> None:
    """It is the only thing that is ever asked for, and only by the reader."""
    (tmp_path / "page.html").write_text(transcripts.page_of(transcripts.golden()), "utf-8")
    shutil.copy(transcripts.RECORDING, tmp_path / "call.mp3")
    page = browser.new_page()
    with served(tmp_path) as (url, asked):
        page.goto(f"{url}/page.html")
        page.locator("summary").nth(1).click()
        page.locator("#url").fill("file:///etc/passwd")
        page.locator("#open-url").click()
        expect(page.locator("#status")).to_contain_text("begins with https://")
        page.locator("#url").fill(f"{url}/call.mp3")
        page.locator("#open-url").click()
        wait_until(page, "audio.readyState > 0")
        assert set(asked) == {"/page.html", "/call.mp3"}
    page.close()


@pytest.mark.parametrize("is_served", [False, True], ids=["file", "http"])
def test_a_page_beside_its_recording_plays_it_at_once(
    browser: BrowserContext, tmp_path: Path, is_served: bool
) -> None:
    """When a word is clicked, and not before; from the disk as from a server."""
    (tmp_path / "calls").mkdir()
    shutil.copy(transcripts.RECORDING, tmp_path / "calls" / "call 1#.mp3")
    (tmp_path / "out").mkdir()
    transcript = transcripts.golden()
    write(transcript, ["html"], tmp_path / "out" / "call", tmp_path / "calls" / "call 1#.mp3")
    page = browser.new_page()
    with served(tmp_path) as (url, asked):
        page.goto(f"{url if is_served else tmp_path.as_uri()}/out/call.html")
        expect(page.locator("h1")).to_have_text("call")
        page.wait_for_timeout(200)
        assert asked == ["/out/call.html"] * is_served
        page.locator("#text .w").nth(30).click()
        expect(page.locator("#play")).to_have_text("Pause")
        if is_served:  # without ranges, which this server does not know, nobody can seek
            wait_until(page, "audio.currentTime > 0")
            assert set(asked) == {"/out/call.html", "/calls/call%201%23.mp3"}
        else:
            wait_until(page, f"audio.currentTime > {transcript.words[30].start}")
    page.close()


@pytest.mark.parametrize("is_served", [False, True], ids=["file", "http"])
def test_a_page_away_from_its_recording_says_so(
    browser: BrowserContext, tmp_path: Path, is_served: bool
) -> None:
    """It moves to the word all the same, and plays a recording that comes later from there."""
    word = transcripts.golden().words[5]
    with beside(browser, tmp_path, is_served) as page:
        page.locator("#text .w").nth(5).click()
        said = re.compile("^The recording is not beside .*“Recording…”")
        expect(page.locator("#status")).to_have_text(said)
        expect(page.locator("#text .now")).to_have_text(word.text)
        shutil.copy(transcripts.RECORDING, tmp_path / "call.mp3")
        page.keyboard.press(" ")
        expect(page.locator("#play")).to_have_text("Pause")
        at = 0 if is_served else word.start  # that server does not let anybody seek
        wait_until(page, f"audio.readyState > 0 && audio.currentTime >= {at}")


@pytest.mark.parametrize("is_served", [False, True], ids=["file", "http"])
def test_a_recording_beside_the_page_that_cannot_be_played_is_told(
    browser: BrowserContext, tmp_path: Path, is_served: bool
) -> None:
    """It is not said to be missing."""
    (tmp_path / "call.mp3").write_bytes(b"no sound" * 100)
    with beside(browser, tmp_path, is_served) as page:
        page.locator("#text .w").nth(5).click()
        expect(page.locator("#status")).to_have_text("This browser cannot play that recording.")


@pytest.mark.parametrize(
    "way", ["https://127.0.0.1:9/a.mp3", "//127.0.0.1:9/a.mp3", "//127.0.0.1/a", ""]
)
def test_the_way_to_the_recording_leads_nowhere_else(
    browser: BrowserContext, tmp_path: Path, way: str
) -> None:
    """Neither to another host, nor to another scheme."""
    made = html.page(transcripts.golden(), recording=way)["html"]
    page = opened(browser, str(made), tmp_path)
    page.locator("#text .w").first.click()
    expect(page.locator("#status")).to_contain_text("Choose the recording")
    assert page.evaluate("audio.src") == ""
    page.close()


def test_without_a_recording_the_page_says_how_to_get_one(show: Open) -> None:
    """A click on a word moves there all the same."""
    page = show(transcripts.golden())
    page.locator("#text .w").nth(5).click()
    expect(page.locator("#status")).to_contain_text("Choose the recording")
    expect(page.locator("#text .now")).to_have_text(transcripts.golden().words[5].text)


def test_a_file_that_is_no_recording_is_told(show: Open, tmp_path: Path) -> None:
    """In words."""
    page = show(transcripts.golden())
    broken = tmp_path / "broken.mp3"
    broken.write_bytes(b"no sound" * 100)
    page.locator("#file").set_input_files(broken)
    expect(page.locator("#status")).to_contain_text("cannot play")


def test_a_page_in_a_frame_takes_the_recording_from_the_window_around_it(
    browser: BrowserContext, tmp_path: Path
) -> None:
    """So a server's page hands over the file that was dropped on it."""
    (tmp_path / "page.html").write_text(transcripts.page_of(transcripts.golden()), "utf-8")
    (tmp_path / "around.html").write_text("<iframe src=page.html></iframe>", "utf-8")
    shutil.copy(transcripts.RECORDING, tmp_path / "call.mp3")
    page = browser.new_page()
    with served(tmp_path) as (url, _):
        page.goto(f"{url}/around.html")
        page.evaluate(
            "fetch('call.mp3').then((answer) => answer.blob()).then((blob) => "
            "frames[0].postMessage(blob, '*'))"
        )
        wait_until(page, "frames[0].document.getElementById('audio').readyState > 0")
    page.close()
