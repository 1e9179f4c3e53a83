"""The command line itself: help, wrong options, completion, the names of files."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from core.domain.request import LocalFile
from core.errors import InvalidRequest
from core.wire.job_input import SingleInput, parse
from handlers.cli.command import NAME, build
from handlers.cli.completion import completion
from handlers.cli.sources import items
from tests.examples.conftest import ROOT
from tests.handlers.cli.conftest import SOUND, Command


def places(*sources: object) -> list[str]:
    """The names of the files of recordings, without endings."""
    return [str(item.place) for item in items([str(source) for source in sources])]


def write(folder: Path, *names: str) -> None:
    """Make recordings."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(SOUND)


# sources


def test_a_folder_keeps_its_folders(tmp_path: Path) -> None:
    """Recordings alone, in order, and none that is hidden."""
    write(tmp_path, "b.mp3", "a.WAV", "may/a.wav", ".x.wav", ".git/y.wav", "notes.txt", "c.srt")
    assert places(tmp_path) == ["a", "b", "may/a"]


def test_recordings_that_would_share_a_name_keep_their_ending(tmp_path: Path) -> None:
    """The others do not."""
    write(tmp_path, "a.wav", "a.mp3", "b.wav")
    assert places(tmp_path) == ["a.mp3", "a.wav", "b"]


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    """Before anything is done."""
    write(tmp_path, "one/a.wav", "two/a.wav")
    with pytest.raises(InvalidRequest, match=r"would both become a\.wav"):
        places(tmp_path / "one", tmp_path / "two")


@pytest.mark.parametrize("letter", ["x", "é", "語"])
def test_a_name_without_room_for_an_ending_is_cut_in_its_middle(
    tmp_path: Path, letter: str
) -> None:
    """Beginning and end stay, and two names stay two; a name that has room stays as it is."""
    longest, room = [f"{_filled(letter, 251)} {at}" for at in (1, 2)], _filled(letter, 250) + " 3"
    write(tmp_path, *(f"{stem}.wav" for stem in (*longest, room)))
    *cut, whole = sorted(places(tmp_path), key=lambda name: name[-1])
    assert whole == room
    for at, name in enumerate(cut, start=1):
        assert re.fullmatch(rf"-+{letter}+~[0-9a-f]{{8}}~{letter}+ {at}", name)
        assert 240 < len(name.encode()) <= 250


def _filled(letter: str, size: int) -> str:
    """Letters that with a number after them have so many bytes."""
    count = (size - 3) // len(letter.encode())
    return (letter * count).rjust(size - 2 - len(letter.encode()) * count + count, "-")


def test_what_is_named_twice_is_done_once(tmp_path: Path) -> None:
    """A file, and the folder that it is in."""
    write(tmp_path, "a.wav")
    assert places(tmp_path / "a.wav", tmp_path, tmp_path / "a.wav") == ["a"]


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://example.com/talks/one.mp3?sig=1", "one"),
        ("https://example.com/", "recording"),
        ("s3://bucket/key/..%2f..%2fetc%2fpasswd.wav", "passwd"),
        ("https://example.com/..", "recording"),
        ("https://example.com/" + "x" * 300, "x" * 80),
        ("https://example.com/a%00b%0ac.wav", "a_b_c"),
    ],
)
def test_a_url_names_its_files_by_its_last_part(url: str, place: str) -> None:
    """Which cannot lead out of the folder."""
    (item,) = items([url])
    assert item.place == PurePosixPath(place)


def test_no_json_becomes_a_file_of_this_disk(tmp_path: Path) -> None:
    """Only this command line makes a local source; a request's is always one to fetch."""
    write(tmp_path, "a.wav")
    (item,) = items([str(tmp_path / "a.wav")])
    assert isinstance(item.source, LocalFile)
    for text in (str(tmp_path / "a.wav"), f"file://{tmp_path}/a.wav"):
        asked = parse(SingleInput, {"audio": text})
        assert not isinstance(asked.recording.source, LocalFile)


# options

KNOWN = ("--known", "Ada=voice")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "the following arguments are required: COMMAND"),
        (("transcribe",), "the following arguments are required: SOURCE"),
        (("transcribe", "nobody.wav"), "nobody.wav: there is no such file or folder"),
        (("transcribe", "http://[x/a.wav"), "a URL cannot be read: its host is wrong"),
        (("transcribe", "."), "there is no recording in what was named"),
        (("transcribe", "a", "--format", "srt,doc"), "doc: not a format; there are srt, vtt, txt"),
        (("transcribe", "a", "--format", ","), "name at least one format"),
        (("transcribe", "a", "--speakers", "some"), "give a number such as 2, a range such as 2-5"),
        (("transcribe", "a", "--speakers", "5-2"), "give 1 to 100 speakers, the smaller first"),
        (("transcribe", "a", "--speakers", "0"), "give 1 to 100 speakers, the smaller first"),
        (("transcribe", "a", "--jobs", "0"), "give a number from 1 to 64"),
        (
            ("transcribe", "a", "--known", "Ada"),
            "Ada: give NAME=FILE, with a recording of the voice",
        ),
        (("transcribe", "voice", "--known", "Ada=none"), "none: there is no such file"),
        (("transcribe", "a", "--known", "1=voice"), "'1' means somebody whom nobody knows"),
        (("transcribe", "a", *KNOWN, "--known", "ada=voice"), "the name 'ada' is given twice"),
        (("transcribe", "a", *KNOWN, "--speakers", "none"), "leave out --speakers none"),
        (("transcribe", "a", *KNOWN, "--channels", "split"), "leave out --channels split"),
        (("transcribe", "a", "--keyterms", " ,"), "name at least one term"),
        (("transcribe", "a", "--keyterms", "x," * 101), "keyterms: list has 101 terms and at most"),
        (("transcribe", "a", "--replace", "um"), "um: give FROM=TO, or FROM= to leave it out"),
        (("transcribe", "a", "--replace", "=x"), "replace: a phrase is empty"),
        (("transcribe", "a", *2 * ("--replace", "a=x")), "replace: a phrase is given twice"),
        (("transcribe", "a", "--local", "--server", "x"), "not allowed with argument"),
        (("models", "burn"), "invalid choice: 'burn'"),
    ],
)
def test_a_wrong_command_line_ends_with_code_2(
    command: Command, arguments: tuple[str, ...], said: str
) -> None:
    """And says what would be right."""
    Path("voice").touch()
    ended = command(*arguments)
    assert ended.code == 2
    assert said in ended.err


def test_help_has_examples_that_are_understood() -> None:
    """Every example is a command line that the parser takes."""
    text = build().format_help()
    examples = re.findall(rf"^  {NAME} (.+)$", text, re.MULTILINE)
    assert len(examples) == 4
    for example in examples:
        assert build().parse_args(example.split()).command == "transcribe"


def test_help_waits_for_no_library() -> None:
    """Neither torch, nor NeMo, nor numpy, nor rich is imported for it."""
    script = (
        "import sys\nfrom handlers.cli.command import main\n"
        "try: main(['transcribe', '--help'])\nexcept SystemExit: pass\n"
        "print({'torch', 'nemo', 'numpy', 'rich', 'httpx2', 'runpod'} & sys.modules.keys())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ended.stdout.endswith("set()\n")


# completion


def completed(*words: str) -> list[str]:
    """What bash offers after these words, by the script for it."""
    line = " ".join(f"'{word}'" for word in words)
    script = (
        f"{completion('bash', build())}\n"
        f"COMP_WORDS=({line}) COMP_CWORD={len(words) - 1}\n_parakeet_workers\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    bash = shutil.which("bash")
    assert bash
    return subprocess.run(
        [bash, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()


def test_bash_completes_commands_options_and_choices() -> None:
    """What has been begun, and everything where nothing has."""
    assert completed(NAME, "") == ["transcribe", "models", "completion", "--help", "--version"]
    assert completed(NAME, "tr") == ["transcribe"]
    assert completed(NAME, "transcribe", "--se") == ["--server"]
    assert completed(NAME, "transcribe", "a.wav", "--f") == ["--format"]
    assert completed(NAME, "models", "pre") == ["prefetch"]
    assert completed(NAME, "completion", "f") == ["fish"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_a_script_with_every_option(command: Command, shell: str) -> None:
    """As the command prints it."""
    ended = command("completion", shell)
    assert ended.code == 0
    options = {"language", "speakers", "format", "endpoint", "server", "local", "to"}
    for option in options:
        assert f"-l {option}" in ended.out if shell == "fish" else f"--{option}" in ended.out


# models


def test_models_does_what_python_m_core_modelstore_does(command: Command, tmp_path: Path) -> None:
    """The same errors in the same words."""
    ended = command("models", "check", "org/name", "--to", tmp_path)
    assert ended.code == 1
    assert ended.err.startswith("model_not_found: org/name is not complete in")
    other = subprocess.run(
        [sys.executable, "-m", "core.modelstore", "--check", "org/name", "--to", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (other.returncode, other.stderr) == (1, f"{ended.err}\n")
