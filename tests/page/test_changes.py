"""What a reader changes and takes away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from core.domain.timeline import Transcript, Transcription
from core.transcript.assembly import assemble
from core.wire.form import Form, TranscriptFormat
from core.wire.render import render
from tests.page import transcripts
from tests.page.browser import opened
from tests.page.conftest import Open


def exported(page: Page, kind: str) -> str:
    """What a button gives."""
    return str(page.evaluate("(kind) => exported(kind)", kind))


def undiarized() -> Transcript:
    """Words alone."""
    golden = transcripts.golden()
    return assemble(Transcription(golden.words), None, duration_s=golden.duration)


TRANSCRIPTS = {
    "golden": transcripts.golden,
    "hostile": transcripts.hostile,
    "undiarized": undiarized,
    "unspaced": transcripts.unspaced,
    "ranged": transcripts.ranged,
    "split": transcripts.split,
    **{f"long {seed}": (lambda seed=seed: transcripts.long(2_000, seed=seed)) for seed in range(4)},
}


def test_a_page_saved_unchanged_is_the_same_file(show: Open) -> None:
    """To the last byte; so is one that is saved again and again."""
    for made in (transcripts.golden, transcripts.hostile):
        assert exported(show(made()), "html") == transcripts.page_of(made())


@pytest.mark.parametrize("kind", ["srt", "vtt"])
@pytest.mark.parametrize("made", TRANSCRIPTS.values(), ids=TRANSCRIPTS)
def test_subtitles_of_the_page_are_those_of_the_worker(show: Open, made, kind: str) -> None:
    """To the last byte."""
    transcript = made()
    wanted = str(render(transcript, Form(TranscriptFormat(kind)))[kind])
    # A file cannot hold half a character; the worker sends it as it is.
    assert exported(show(transcript), kind) == wanted


def test_names_are_kept_in_the_page_and_used_in_every_export(
    browser: BrowserContext, show: Open, tmp_path: Path
) -> None:
    """Headings, lanes, subtitles, text and JSON have them, and so has the page that is saved."""
    page = show(transcripts.golden())
    page.locator("summary").first.click()
    page.get_by_label("Name of Speaker A").fill("Ada")
    page.get_by_label("Title").fill("A teacher")
    page.keyboard.press("Tab")
    saved = exported(page, "html")
    for shown in (page, opened(browser, saved, tmp_path)):
        expect(shown.locator("h1")).to_have_text("A teacher")
        expect(shown.locator("#text h3").first).to_have_text("Ada")
        expect(shown.locator("#lanes span").first).to_have_text("Ada")
        assert "Ada: I met someone," in exported(shown, "srt")
        assert "<v Ada>I met someone," in exported(shown, "vtt")
        assert exported(shown, "txt").startswith("Ada: I met someone,")
        assert json.loads(exported(shown, "json"))["segments"][0]["speaker"] == "Ada"


def test_speakers_are_merged_and_separated_again(show: Open) -> None:
    """Merged, they have one name, one lane and one row; nothing is lost by it."""
    page = show(transcripts.golden())
    before = exported(page, "html")
    page.locator("summary").first.click()
    page.get_by_label("Speaker B is the same as").select_option(label="Speaker A")
    assert set(page.locator("#text h3").all_text_contents()) == {"Speaker A"}
    assert page.locator("#lanes .lane").count() == 1
    expect(page.locator("#facts")).to_contain_text("1 speaker")
    assert json.loads(exported(page, "json"))["num_speakers"] == 1
    page.get_by_label("Speaker B is the same as").select_option(label="–")
    assert exported(page, "html") == before


def test_three_become_one_whatever_the_order(show: Open) -> None:
    """Who was merged into somebody goes along with him."""
    page = show(transcripts.long(500, speakers=3))
    page.locator("summary").first.click()
    page.get_by_label("Speaker 3 is the same as").select_option(label="Speaker 2")
    page.get_by_label("Speaker 2 is the same as").select_option(label="Speaker 1")
    assert set(page.locator("#text h3").all_text_contents()) == {"Speaker 1"}


def test_the_text_has_every_word_and_every_change_of_speaker(show: Open) -> None:
    """A paragraph for each."""
    transcript = transcripts.golden()
    text = exported(show(transcript), "txt")
    spoken = text.replace("Speaker A: ", "").replace("Speaker B: ", "")
    assert spoken.split() == transcript.text.split()
    assert "to know about it.\n\nSpeaker B: That is a surprise." in text


def test_a_script_without_blanks_is_shown_and_searched_without(show: Open) -> None:
    """In the paragraphs, in the exported text, and over the borders of words."""
    page = show(transcripts.unspaced())
    expect(page.locator("#text")).to_contain_text("今日は OK です。明日の会議は中止になりました。")
    assert "明日の会議は中止になりました。" in exported(page, "txt")
    page.get_by_label("Search the transcript").fill("会議は中止")
    expect(page.locator("#hits")).to_have_text("3")
    assert page.locator(".hit").all_text_contents()[:3] == ["会議", "は", "中止"]


@pytest.mark.parametrize("made", [transcripts.golden, transcripts.unspaced, transcripts.split])
def test_the_json_is_an_answer(show: Open, made) -> None:
    """The fields of `json`, and the words of `verbose_json`."""
    transcript = made()
    read = json.loads(exported(show(transcript), "json"))
    wanted = render(transcript, Form(TranscriptFormat.JSON))
    assert {name: read[name] for name in wanted} == wanted
    words = render(transcript, Form(TranscriptFormat.VERBOSE_JSON))["words"]
    assert isinstance(words, list)
    assert read["words"] == [
        {name: value for name, value in word.items() if name != "speaker_confidence"}
        for word in words
    ]


def test_the_buttons_download_files_with_the_title_as_their_name(show: Open) -> None:
    """Characters that no file system takes become underscores."""
    page = show(transcripts.golden())
    page.locator("summary").first.click()
    page.get_by_label("Title").fill("Board 11/26: storm?")
    page.keyboard.press("Tab")
    with page.expect_download() as download:
        page.get_by_role("button", name="SRT").click()
    assert download.value.suggested_filename == "Board 11_26_ storm_.srt"
    assert Path(download.value.path()).read_text("utf-8") == exported(page, "srt")
