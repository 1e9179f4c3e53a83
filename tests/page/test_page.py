"""What a reader sees and does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.page import transcripts
from tests.page.browser import opened, violations
from tests.page.conftest import Open

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1200, "height": 900}


def shown_words(page: Page) -> list[str]:
    """The words of the page, in order."""
    return page.locator("#text .w").all_text_contents()


def unfold(page: Page) -> None:
    """Open all details."""
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")


# what is shown


def test_every_word_is_shown_under_its_speaker(show: Open) -> None:
    """In order; a heading for each change of speaker."""
    transcript = transcripts.golden()
    page = show(transcript)
    assert shown_words(page) == [word.text for word in transcript.words]
    speakers = [f"Speaker {segment.speaker}" for segment in transcript.segments]
    runs = [name for at, name in enumerate(speakers) if at == 0 or name != speakers[at - 1]]
    assert page.locator("#text h3").all_text_contents() == runs


def test_the_timeline_has_a_lane_for_each_speaker_and_one_for_overlap(show: Open) -> None:
    """Each says in words how long somebody speaks."""
    page = show(transcripts.golden())
    labels = [lane.get_attribute("aria-label") or "" for lane in page.locator("#lanes svg").all()]
    assert [label.partition(":")[0] for label in labels] == ["Speaker A", "Speaker B", "At once"]
    assert all(re.search(r"(once|\d+ times), \d+:\d\d in all", label) for label in labels)


def test_uncertain_and_overlapped_words_and_pauses_are_marked(show: Open) -> None:
    """Below a threshold that the reader moves."""
    transcript = transcripts.golden()
    page = show(transcript)
    uncertain = [word.text for word in transcript.words if word.confidence == transcripts.UNCERTAIN]
    assert page.locator("#text .low").all_text_contents() == uncertain
    overlapped = [word.text for word in transcript.words if word.overlapped]
    assert overlapped
    assert page.locator("#text .over").all_text_contents() == overlapped
    page.locator("#threshold").evaluate(
        "(one) => { one.value = 10; one.dispatchEvent(new Event('input')); }"
    )
    expect(page.locator("#text .low")).to_have_count(0)
    long = show(transcripts.long(2_000))
    assert re.fullmatch(r"\[pause \d+ s\]", long.locator("#text .gap").first.text_content() or "")


def test_with_channels_the_word_being_said_and_pauses_are_those_of_all(show: Open) -> None:
    """Words follow the segments, not each other: whoever began last is marked."""
    page = show(transcripts.split())
    for time_s, text in ((2.1, "the"), (4.2, "Mhm."), (4.6, "me"), (7.2, "Really?"), (14.1, "No.")):
        page.evaluate("(time) => seek(time)", time_s)
        expect(page.locator("#text .now")).to_have_text(text)
    assert page.locator("#text .gap").all_text_contents() == ["[pause 6 s]"]


def test_an_empty_transcript_says_so(show: Open) -> None:
    """No words, no speakers, no error."""
    from core.domain.timeline import Transcript

    page = show(Transcript(3.0, (), ()))
    expect(page.locator("#text")).to_have_text("Nothing was said.")
    expect(page.locator("#facts")).to_have_text("0:03 · 0 words")


def test_thirty_thousand_words_are_all_there(show: Open) -> None:
    """The last one comes into view when it is searched for."""
    transcript = transcripts.long()
    page = show(transcript)
    assert page.locator("#text .w").count() == len(transcript.words) >= 30_000
    last = page.locator("#text .w").last
    page.locator("#query").fill(" ".join(word.text for word in transcript.words[-4:]))
    page.keyboard.press("Enter")
    expect(page.locator("#hits")).to_have_text("1 of 1")
    expect(last).to_be_in_viewport()


# search


def test_search_counts_and_goes_through_matches(show: Open) -> None:
    """Over word borders, without regard to case; Shift goes back, Escape ends it."""
    transcript = transcripts.golden()
    page = show(transcript)
    text = transcript.text.lower()
    page.locator("#query").fill("THE")
    expect(page.locator("#hits")).to_have_text(str(text.count("the")))
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator("#hits")).to_have_text(f"2 of {text.count('the')}")
    page.keyboard.press("Shift+Enter")
    expect(page.locator("#hits")).to_have_text(f"1 of {text.count('the')}")
    page.locator("#query").fill("surprise. what")
    page.keyboard.press("Enter")
    expect(page.locator("#hits")).to_have_text("1 of 1")
    assert page.locator("#text .hit").all_text_contents() == ["surprise.", "What"]
    page.keyboard.press("Escape")
    expect(page.locator("#text .hit")).to_have_count(0)


def test_search_disregards_accents(show: Open) -> None:
    """What a keyboard without them can type."""
    page = show(transcripts.hostile())
    page.locator("#query").fill("unicode")
    expect(page.locator("#hits")).to_have_text("1")


# the keyboard


def test_the_keyboard_goes_from_word_to_word(show: Open) -> None:
    """Each is said by the page's live region; an uncertain one with how certain it is."""
    page = show(transcripts.golden())
    page.keyboard.press("ArrowRight")
    expect(page.locator("#spoken")).to_have_text("I")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#text .cursor")).to_have_text("met")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#text .cursor")).to_have_text("I")
    page.keyboard.press("n")
    expect(page.locator("#spoken")).to_have_text("That")
    page.keyboard.press("p")
    expect(page.locator("#spoken")).to_have_text("I")
    page.keyboard.press("u")
    expect(page.locator("#spoken")).to_contain_text("(30 % certain)")
    page.keyboard.press("/")
    expect(page.locator("#query")).to_be_focused()


def test_a_button_leaves_the_keys_that_it_does_not_need(show: Open) -> None:
    """After a click on Play the arrows still go from word to word; a field takes them all."""
    page = show(transcripts.golden())
    page.locator("#play").click()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#text .cursor")).to_have_text("I")
    page.locator("#query").fill("x")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("l")
    expect(page.locator("#text .cursor")).to_have_text("I")
    expect(page.locator("#query")).to_have_value("xl")


def test_a_zoomed_timeline_goes_along(show: Open) -> None:
    """With the word that is being said; the names of the lanes stay."""
    page = show(transcripts.long(2_000))
    page.locator("#zoom").evaluate(
        "(one) => { one.value = 20; one.dispatchEvent(new Event('input')); }"
    )
    assert page.evaluate("document.getElementById('timeline').scrollLeft") == 0
    page.locator("#text .w").nth(1_500).click()
    assert page.evaluate("document.getElementById('timeline').scrollLeft") > 1_000
    page.evaluate("scrollTo(0, 0)")
    expect(page.locator("#needle")).to_be_in_viewport()
    expect(page.locator("#lanes span").first).to_be_in_viewport()


def test_shortcuts_can_be_switched_off(show: Open) -> None:
    """For who speaks to the computer, and whose words would be taken for keys (WCAG 2.1.4)."""
    page = show(transcripts.golden())
    unfold(page)
    page.locator("#shortcuts").uncheck()
    page.locator("h1").click()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#text .cursor")).to_have_count(0)


def test_everything_is_reached_by_tab(show: Open) -> None:
    """The first stop skips to the transcript."""
    page = show(transcripts.golden())
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("#text .at").first).to_be_focused()


# appearance


def test_dark_mode_follows_the_system_and_the_reader(show: Open) -> None:
    """The reader's choice wins."""
    page = show(transcripts.golden())

    def paper() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    page.emulate_media(color_scheme="dark")
    assert paper() == "rgb(20, 23, 26)"
    unfold(page)
    page.locator("#theme").select_option("light")
    assert paper() == "rgb(255, 255, 255)"
    page.emulate_media(color_scheme="light")
    page.locator("#theme").select_option("dark")
    assert paper() == "rgb(20, 23, 26)"


def test_a_phone_shows_it_without_scrolling_sideways(show: Open) -> None:
    """With everything unfolded."""
    page = show(transcripts.long(500))
    page.set_viewport_size(PHONE)
    unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.set_viewport_size(DESK)


def test_it_prints_the_transcript_alone(show: Open) -> None:
    """No player, no buttons; all words, on as many sheets as they need."""
    page = show(transcripts.long(3_000))
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.locator("#bar")).to_be_hidden()
    expect(page.locator("#exports")).to_be_hidden()
    expect(page.locator("#text .w").last).to_be_visible()
    printed = page.pdf()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) >= 5


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("made", [transcripts.golden, transcripts.hostile])
def test_axe_finds_nothing(
    browser: BrowserContext, axe: str, tmp_path: Path, scheme: str, size: dict, made
) -> None:
    """All rules, everything unfolded, a search in progress and a word marked."""
    page = opened(browser, transcripts.page_of(made()), tmp_path)
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme)
    unfold(page)
    page.keyboard.press("ArrowRight")
    page.locator("#query").fill("a")
    page.keyboard.press("Enter")
    try:
        assert violations(page, axe) == []
    finally:
        page.close()
