"""The page as a file: what is in it, and that nothing can get out of its place.

What it does in a browser is tested in tests/page.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

import pytest

from core.domain.timeline import Transcript
from core.wire import html
from core.wire.fields import one_line
from core.wire.form import Form, TranscriptFormat
from core.wire.limits import MAX_RUN_BYTES
from core.wire.render import render
from tests.page import transcripts


@dataclass
class Read(HTMLParser):
    """The elements of a page, and the texts of those that hold no markup."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._is_raw = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the element."""
        self.tags.append((tag, dict(attrs)))
        self._is_raw = tag in ("script", "style")
        if self._is_raw:
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        """Note that a text ends."""
        self._is_raw = False

    def handle_data(self, data: str) -> None:
        """Note what a script or a style says."""
        if self._is_raw:
            self.texts[-1] += data


def read(page: str) -> Read:
    """Read a page as a browser does."""
    made = Read()
    made.feed(page)
    return made


def data(page: str) -> dict:
    """The transcript in a page."""
    return json.loads(read(page).texts[1])


ALL = {"golden": transcripts.golden, "hostile": transcripts.hostile}


@pytest.mark.parametrize("made", ALL.values(), ids=ALL)
def test_no_word_and_no_name_leaves_the_transcripts_element(made) -> None:
    """The page has the same elements whatever is said, and one element of data."""
    plain = read(transcripts.page_of(Transcript(1.0, (), ())))
    shown = read(transcripts.page_of(made()))
    assert shown.tags == plain.tags
    style, _, script = shown.texts
    assert (style, script) == (plain.texts[0], plain.texts[2])


def test_the_data_has_no_character_that_a_browser_could_misread() -> None:
    """No angle bracket, ampersand, line separator or half a character, and no line break."""
    text = read(transcripts.page_of(transcripts.hostile())).texts[1]
    assert not re.search("[<>&\u2028\u2029\ud800-\udfff\n\r]", text)
    assert text.encode("utf-8")


def test_words_times_and_confidences_are_read_back_as_they_were() -> None:
    """Milliseconds and thousandths, without a loss."""
    transcript = transcripts.golden()
    words = data(transcripts.page_of(transcript))["words"]
    end = 0
    for at, word in enumerate(transcript.words):
        start = end + words["gap"][at]
        end = start + words["length"][at]
        assert (start / 1000, end / 1000) == (word.start, word.end)
        assert words["confidence"][at] / 1000 == word.confidence
        assert words["text"][at] == one_line(word.text)
    assert words["overlap"] == [at for at, word in enumerate(transcript.words) if word.overlapped]


def test_it_has_the_turns_that_overlap() -> None:
    """Those of the speaker model, not those of the words."""
    transcript = transcripts.golden()
    read_back = data(transcripts.page_of(transcript))
    assert [
        (read_back["speakers"][speaker], start / 1000, end / 1000)
        for speaker, start, end in read_back["turns"]
    ] == [(turn.speaker, turn.start, turn.end) for turn in transcript.turns]


def test_the_policy_allows_this_script_and_this_style_alone() -> None:
    """By their sums; a browser runs nothing else."""
    shown = read(transcripts.page_of(transcripts.golden()))
    style, _, script = shown.texts
    policy = next(
        str(attributes["content"]) for _, attributes in shown.tags if "http-equiv" in attributes
    )
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for name, text in (("script", script), ("style", style)):
        made = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{made}';" in policy


def test_it_refers_to_nothing_outside_itself() -> None:
    """No element has a source or a link, but for the empty icon and the way to the transcript."""
    shown = read(transcripts.page_of(transcripts.golden()))
    links = [
        attributes.get("href") or attributes.get("src")
        for _, attributes in shown.tags
        if {"href", "src", "srcset", "action"} & attributes.keys()
    ]
    assert links == ["data:,", "#transcript"]
    assert "url(" not in shown.texts[0]
    assert "@import" not in shown.texts[0]


def test_every_file_of_the_folder_is_in_the_page() -> None:
    """None is shipped for nothing, and none is forgotten."""
    page = transcripts.page_of(transcripts.golden())
    for path in html._FOLDER.iterdir():
        text = path.read_text(encoding="utf-8")
        parts = [part for part in re.split(r"%\w+%", text.removesuffix("\n")) if part]
        assert all(part in page for part in parts), path.name


def test_the_same_transcript_makes_the_same_page() -> None:
    """To the last byte: no time of making, no random name."""
    pages = {transcripts.page_of(transcripts.golden()) for _ in range(3)}
    assert len(pages) == 1


def test_thirty_thousand_words_are_a_tenth_of_what_the_platform_carries() -> None:
    """Three hours of speech, as JSON with everything else in the answer."""
    answer = render(transcripts.long(), Form(TranscriptFormat.HTML))
    assert len(json.dumps(answer, ensure_ascii=False).encode()) < MAX_RUN_BYTES / 10
