"""transcribe, in an endpoint: the emulator's REST API, and workers that answer as ours do."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.domain.request import Edits
from emulator.job import Status
from emulator.server import Server
from handlers.cli.options import FORMATS
from handlers.cli.record import FILE
from tests.examples.conftest import ROOT, TEXT, URL, Behaviour, Platform, Worker, until
from tests.handlers.cli.conftest import BROKEN, SOUND, Command, files, lines

BROKEN_STEMS = {"call04", "may/call09", "call13"}


def stems(folder: Path) -> set[str]:
    """The recordings that have files."""
    return {name.rpartition(".")[0] for name in files(folder)}


def test_seventeen_of_twenty_are_written_and_three_are_told(
    command: Command, recordings: Path, endpoint: Worker, tmp_path: Path
) -> None:
    """Exit code 1; the same again asks for the three alone; mended, they are done, and it is 0."""
    asked = ("transcribe", recordings, "--out", "out", "--endpoint", endpoint.name)
    first = command(*asked, "--format", "txt,html,rttm")
    out = tmp_path / "out"
    assert first.code == 1
    assert len(stems(out)) == 17
    assert len(files(out)) == 3 * 17
    assert not stems(out) & BROKEN_STEMS
    assert first.err.count("unsupported_audio: not a recording in a supported format") == 3
    assert first.err.endswith("17 written, 0 there already, 3 failed\n")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}

    endpoint.asked.clear()
    second = command(*asked, "--format", "html,txt")
    assert second.code == 1
    assert len(endpoint.asked) == 3
    assert second.err.endswith("0 written, 17 there already, 3 failed\n")
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before

    for path in recordings.rglob("*.*"):
        if path.read_bytes() == BROKEN:
            path.write_bytes(SOUND)
    assert command(*asked, "--format", "txt,html,rttm").code == 0
    assert len(stems(out)) == 20


def test_every_format_is_written(command: Command, endpoint: Worker, tmp_path: Path) -> None:
    """From one job: subtitles, text, JSON, turns and the page."""
    asked = ("transcribe", URL, "--endpoint", endpoint.name, "--format")
    ended = command(*asked, "srt,vtt,txt,json,rttm,html")
    assert ended.code == 0
    assert len(endpoint.asked) == 1
    written = {name: (tmp_path / name).read_text("utf-8") for name in files(tmp_path)}
    assert set(written) == {f"call.{name}" for name in FORMATS}
    assert written["call.srt"].startswith("1\n00:00:00,400 -->")
    assert written["call.vtt"].startswith("WEBVTT\n")
    assert written["call.txt"] == (
        "Speaker 1: Are you ready?\n\nSpeaker 2: Yes.\n\nSpeaker 1: Let's go.\n"
    )
    assert json.loads(written["call.json"])["text"] == TEXT
    assert json.loads(written["call.json"])["usage"]["seconds_of_audio"] == 3.2
    assert written["call.rttm"].startswith("SPEAKER recording 1 0.400 0.800")
    assert written["call.html"].startswith("<!doctype html>")


def test_the_longest_name_that_a_file_can_have_gets_every_file(
    command: Command, endpoint: Worker, tmp_path: Path
) -> None:
    """Once: the same again finds them."""
    (tmp_path / f"{'call ' * 50}1.wav").write_bytes(SOUND)
    asked = ("transcribe", tmp_path, "--endpoint", endpoint.name, "--format", ",".join(FORMATS))
    assert [command(*asked).code for _ in range(2)] == [0, 0]
    assert len(endpoint.asked) == 1
    assert len(files(tmp_path)) == 1 + len(FORMATS)


def test_the_table_tells_who_spoke_how_long(command: Command, endpoint: Worker) -> None:
    """At the end, for each recording."""
    ended = command("transcribe", URL, "--endpoint", endpoint.name)
    rows = [[cell.strip() for cell in row.split("│")] for row in ended.err.splitlines()]
    assert ["", "https://example.com/call.mp3", "0:03", "Speaker 1", "0:02", "5", ""] in rows
    assert ["", "", "", "Speaker 2", "0:00", "1", ""] in rows


def test_what_is_asked_reaches_the_worker(command: Command, endpoint: Worker) -> None:
    """Language, speakers, channels, terms and edits, each in its field."""
    split = ("--channels", "split", "--speakers", "2")
    words = ("--speakers", "none")
    terms = ("--keyterms", "Dr. Osei, Ringstrasse", "--keyterms", "Mayer")
    edits = ("--replace", "acme inc=ACME", "--replace", "damn=", "--remove-fillers")
    for number, arguments in enumerate(
        (
            *(("--speakers", "2"), ("--speakers", "2-5"), words, ("--language", "en"), split),
            (*terms, *edits),
        )
    ):
        at = f"{URL}?{number}"
        command("transcribe", at, "--out", str(number), "--endpoint", endpoint.name, *arguments)
    exact, between, none, english, calls, edited = endpoint.asked
    assert exact.num_speakers == 2
    assert (between.min_speakers, between.max_speakers) == (2, 5)
    assert none.diarize is False
    assert (english.language, english.diarize) == ("en", True)
    assert (calls.channels, calls.num_speakers) == ("split", None)
    assert edited.decoding.keyterms == ("Dr. Osei", "Ringstrasse", "Mayer")
    assert edited.edits == Edits({"acme inc": "ACME", "damn": ""}, remove_fillers=True)


def test_known_voices_reach_the_worker(command: Command, endpoint: Worker, tmp_path: Path) -> None:
    """With their recordings; another recording of a voice is another setting."""
    (tmp_path / "ada.wav").write_bytes(SOUND)
    (tmp_path / "call.wav").write_bytes(SOUND)
    asked = ("transcribe", "call.wav", "--endpoint", endpoint.name, "--known", "Ada=ada.wav")
    for _ in range(2):
        assert command(*asked, "--known", "Dr. Grace=ada.wav").code == 0
    (first,) = endpoint.asked
    sound = base64.b64encode(SOUND).decode()
    known = [(one.name, one.audio) for one in first.known_speakers]
    assert known == [("Ada", sound), ("Dr. Grace", sound)]
    (tmp_path / "ada.wav").write_bytes(SOUND + b"more")
    assert command(*asked, "--known", "Dr. Grace=ada.wav").code == 0
    assert len(endpoint.asked) == 2


def test_other_settings_or_another_content_are_done_anew(
    command: Command, endpoint: Worker, tmp_path: Path
) -> None:
    """A new format too; the same again is not."""
    (tmp_path / "call.wav").write_bytes(SOUND)
    asked = ("transcribe", "call.wav", "--endpoint", endpoint.name)
    for number, more in enumerate(
        ((), ("--speakers", "2"), ("--speakers", "2", "--format", "vtt")), start=1
    ):
        for _ in range(2):
            assert command(*asked, *more).code == 0
            assert len(endpoint.asked) == number
    (tmp_path / "call.wav").write_bytes(SOUND + b"more")
    command(*asked, "--speakers", "2")
    assert len(endpoint.asked) == 4
    (tmp_path / "call.srt").unlink()
    command(*asked, "--speakers", "2")
    assert len(endpoint.asked) == 5


def test_a_url_is_another_recording_if_its_query_is_another(
    command: Command, endpoint: Worker
) -> None:
    """But not if only its signature is; what the first one has is not replaced unasked."""
    one, again, other = [
        f"{URL}?id={number}&X-Amz-Signature={sign}" for number, sign in ((1, 1), (1, 2), (2, 2))
    ]
    asked = ("transcribe", "--endpoint", endpoint.name)
    assert [command(*asked, url).code for url in (one, again)] == [0, 0]
    ended = command(*asked, other)
    assert ended.code == 1
    assert "file_exists: call.srt and call.txt would be replaced; move it, name" in ended.err
    assert len(endpoint.asked) == 1
    assert command(*asked, other, "--overwrite").code == 0
    assert command(*asked, one).code == 1
    assert len(endpoint.asked) == 2


def test_files_of_somebody_else_are_kept(
    command: Command, endpoint: Worker, tmp_path: Path
) -> None:
    """So are those that were changed by hand, until they may be replaced; no job is started."""
    (tmp_path / "call.txt").write_text("my notes")
    asked = ("transcribe", URL, "--endpoint", endpoint.name)
    ended = command(*asked)
    assert ended.code == 1
    assert "file_exists: call.txt would be replaced; move it, name another --out" in ended.err
    assert (tmp_path / "call.txt").read_text() == "my notes"
    assert endpoint.asked == []
    assert command(*asked, "--overwrite").code == 0
    assert command(*asked, "--language", "en").code == 0

    (tmp_path / "call.srt").write_text("corrected by hand")
    assert command(*asked, "--language", "en").code == 0
    assert command(*asked, "--speakers", "2").code == 1
    assert (tmp_path / "call.srt").read_text() == "corrected by hand"
    assert len(endpoint.asked) == 2


def test_the_record_is_read_once_however_many_recordings_there_are(
    command: Command, endpoint: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands that are done already are skipped at once."""
    for at in range(5):
        (tmp_path / f"{at}.wav").write_bytes(SOUND)
    asked = ("transcribe", ".", "--endpoint", endpoint.name)
    command(*asked)
    read, texts = Path.read_text, []

    def noted(path: Path, **options: str) -> str:
        texts.append(path.name)
        return read(path, **options)

    monkeypatch.setattr(Path, "read_text", noted)
    assert command(*asked).err.endswith("0 written, 5 there already, 0 failed\n")
    assert texts.count(FILE) == 1


def test_a_damaged_record_costs_work_and_nothing_else(
    command: Command, endpoint: Worker, tmp_path: Path
) -> None:
    """Whatever is in the file."""
    for content in ("", "[]", '{"call": 1}', '{"call": {"files": 1}}'):
        (tmp_path / FILE).write_text(content)
        assert command("transcribe", URL, "--endpoint", endpoint.name, "--overwrite").code == 0
    assert len(endpoint.asked) == 4


def test_json_lines_tell_everything_about_each(
    command: Command, recordings: Path, endpoint: Worker
) -> None:
    """On standard output, and nothing else there; a failure has its code and its sentence."""
    asked = ("transcribe", recordings / "call04.opus", recordings / "call05.MP4", "--json")
    told = {line["source"]: line for line in lines(command(*asked, "--endpoint", endpoint.name))}
    failed, written = told["recordings/call04.opus"], told["recordings/call05.MP4"]
    assert failed["status"] == "failed"
    assert failed["error"]["code"] == "unsupported_audio"
    assert written == {
        "source": "recordings/call05.MP4",
        "status": "written",
        "files": ["call05.srt", "call05.txt"],
        "duration": 3.2,
        "language": "en",
        "warnings": ["a speaker is heard for a second only"],
        "speakers": [
            {"speaker": "1", "seconds": 1.6, "words": 5},
            {"speaker": "2", "seconds": 0.4, "words": 1},
        ],
    }
    again = lines(command(*asked, "--endpoint", endpoint.name))
    assert sorted(line["status"] for line in again) == ["failed", "skipped"]


def test_a_query_of_a_url_is_shown_nowhere(
    command: Command, endpoint: Worker, tmp_path: Path
) -> None:
    """It may be the signature that opens the recording."""
    secret = f"{URL}?X-Amz-Signature=canary"
    for more in ((), ("--json",)):
        ended = command("transcribe", secret, "--endpoint", endpoint.name, *more)
        assert "canary" not in ended.out + ended.err
    assert all("canary" not in path.read_text() for path in tmp_path.iterdir())


def test_a_file_that_no_request_carries_says_what_to_do(
    command: Command, endpoint: Worker, tmp_path: Path
) -> None:
    """No job is started for it."""
    (tmp_path / "long.wav").write_bytes(bytes(7_600_000))
    ended = command("transcribe", "long.wav", "--endpoint", endpoint.name)
    assert ended.code == 1
    assert "source_too_large: the file has 7.6 MB and a request carries 7.5 MB" in ended.err
    assert endpoint.asked == []


def test_without_a_key_it_says_so(
    command: Command, endpoint: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, and one line."""
    monkeypatch.delenv("RUNPOD_API_KEY")
    ended = command("transcribe", URL, "--endpoint", endpoint.name)
    assert ended.code == 2
    assert ended.err == (
        "parakeet-workers: RUNPOD_API_KEY: not set; put the key of your account into it\n"
    )


def test_a_key_that_no_header_can_carry_is_refused(
    command: Command, endpoint: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, and one line without the key."""
    monkeypatch.setenv("RUNPOD_API_KEY", "rpa_SECRET KEY")
    ended = command("transcribe", URL, "--endpoint", endpoint.name)
    assert ended.code == 2
    assert ended.err == (
        "parakeet-workers: RUNPOD_API_KEY: give ASCII letters, digits and signs, without blanks\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_cancels_the_jobs_and_leaves_nothing_half_written(
    platform: Platform, server: Server, stuck: Behaviour, tmp_path: Path, number: int
) -> None:
    """Exit code 130; what was written before stays, and is not done again."""
    is_first = threading.Event()

    def once(request: object) -> None:
        if is_first.is_set():
            stuck(request)
        is_first.set()

    worker = Worker(behaviour=once)
    endpoint = platform.open(worker, concurrency=2)
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.wav").write_bytes(SOUND)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "handlers.cli"),
            *("transcribe", ".", "--jobs", "1", "--endpoint", endpoint.name),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: len(worker.asked) == 2)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "interrupted" in said
    assert files(tmp_path) == {"a.wav", "b.wav", "c.wav", "a.srt", "a.txt"}
    statuses = [job.status for job in endpoint.queue.ever]
    assert statuses == [Status.COMPLETED, Status.CANCELLED]
    assert json.loads((tmp_path / FILE).read_text()).keys() == {"a"}


def test_an_interruption_before_anything_is_begun_is_one_line(
    command: Command, endpoint: Worker, recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While folders are looked through, of which there may be many."""
    walk = os.walk

    def interrupted(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
        os.kill(os.getpid(), signal.SIGINT)
        return walk(folder)

    monkeypatch.setattr(os, "walk", interrupted)
    ended = command("transcribe", recordings, "--endpoint", endpoint.name)
    assert (ended.code, ended.err) == (130, "parakeet-workers: interrupted\n")
    assert endpoint.asked == []


def test_an_interruption_between_two_files_waits_for_the_second(
    command: Command, endpoint: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the recording is known as done, and none of its files as somebody else's."""
    replace, signals = Path.replace, iter([signal.SIGINT])

    def interrupted(path: Path, target: Path) -> Path:
        for number in signals:
            os.kill(os.getpid(), number)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    asked = ("transcribe", URL, "--endpoint", endpoint.name)
    command(*asked)
    assert files(tmp_path) == {"call.srt", "call.txt"}
    assert command(*asked).err.endswith("0 written, 1 there already, 0 failed\n")
