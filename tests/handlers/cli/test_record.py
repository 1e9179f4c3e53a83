"""The record of a folder: whose the files in it are."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from core.domain.request import SpeakerCount
from handlers.cli.options import Question
from handlers.cli.record import FILE, Record
from handlers.cli.sources import Item, items
from tests.examples.conftest import URL

FORMATS = ("txt",)
OTHERS = Question(speakers=SpeakerCount(exact=2))


def item(source: object) -> Item:
    """A recording as the command line names it."""
    (one,) = items([str(source)])
    return one


def written(folder: Path, name: str, content: bytes = b"sound", mtime: int = 1) -> Path:
    """A recording."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (mtime, mtime))
    return path


def done(out: Path, one: Item, question: Question | None = None) -> Record:
    """The record of a folder after a recording got its file."""
    record = Record(out, question or Question(), "a way")
    out.joinpath(f"{one.place}.txt").write_text("words")
    record.note(one, FORMATS)
    return record


def is_kept(record: Record, one: Item) -> bool:
    """Whether the file that is there is not to be replaced by this recording's."""
    return not record.is_done(one, FORMATS) and bool(record.foreign(one, FORMATS))


@pytest.mark.parametrize("size", [1, 3_000_000])
@pytest.mark.parametrize("mtime", [1, 2])
def test_a_file_of_the_same_name_elsewhere_is_another_recording(
    tmp_path: Path, size: int, mtime: int
) -> None:
    """Even if it has the same size and time; nothing of the first one's is replaced."""
    first = written(tmp_path, "a/call.wav", b"a" * size)
    second = written(tmp_path, "b/call.wav", b"a" * (size - 1) + b"b", mtime)
    record = done(tmp_path, item(first))
    assert is_kept(record, item(second))
    assert is_kept(Record(tmp_path, OTHERS, "a way"), item(second))
    assert record.is_done(item(first), FORMATS)


def test_a_file_by_another_path_is_the_same_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So is one that was moved: done if nothing has changed, and else done anew."""
    path = written(tmp_path, "a/call.wav")
    record = done(tmp_path, item(path))
    (tmp_path / "link").symlink_to("a")
    monkeypatch.chdir(path.parent)
    for other in ("call.wav", "../a/call.wav", "../link/call.wav"):
        assert record.is_done(item(other), FORMATS)
    for mtime, content in ((2, b"sound"), (1, b"more sound")):
        written(tmp_path, "a/call.wav", content, mtime)
        assert not record.is_done(item("call.wav"), FORMATS)
        assert not record.foreign(item("../link/call.wav"), FORMATS)
    moved = written(tmp_path, "moved/call.wav")
    assert record.is_done(item(moved), FORMATS)
    assert not Record(tmp_path, OTHERS, "a way").foreign(item(moved), FORMATS)


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        (f"{URL}?id=1&X-Amz-Signature=1", f"{URL}?id=1&X-Amz-Date=2&X-Amz-Signature=2", True),
        (f"{URL}?st=1&sig=1", f"{URL}?st=2&sig=2", True),
        (f"{URL}?st=1", f"{URL}?st=2", False),
        (f"{URL}?id=1&sig=1", f"{URL}?id=2&sig=1", False),
        (URL, URL.replace("example.com", "example.com:8443"), False),
    ],
)
def test_a_url_is_known_by_all_of_it_but_its_signature(
    tmp_path: Path, first: str, second: str, is_same: bool
) -> None:
    """Done if it is the same one; another one replaces nothing; none is written down."""
    record = done(tmp_path, item(first))
    assert record.is_done(item(second), FORMATS) is is_same
    assert is_kept(record, item(second)) is not is_same
    assert is_kept(Record(tmp_path, OTHERS, "a way"), item(second)) is not is_same
    assert not re.search("example|=|(?i:sig)", (tmp_path / FILE).read_text())


def test_an_earlier_record_tells_what_is_done_but_not_whose_a_file_is(tmp_path: Path) -> None:
    """So what is done stays done, another format is added, and nothing else is replaced."""
    one = item(written(tmp_path, "a/call.wav"))
    done(tmp_path, one)
    entries = json.loads((tmp_path / FILE).read_text())
    del entries["call"]["source"]
    (tmp_path / FILE).write_text(json.dumps(entries))
    record = Record(tmp_path, Question(), "a way")
    assert record.is_done(one, FORMATS)
    assert not record.foreign(one, ("srt", *FORMATS))
    assert is_kept(Record(tmp_path, OTHERS, "a way"), one)
