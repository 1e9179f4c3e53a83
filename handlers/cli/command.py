"""The commands and their options.

Only what a command needs is imported, when it runs: --help must not wait for models.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from core import __version__
from core.domain.request import Channels
from core.errors import RequestError, SettingsError, WorkerError
from handlers.cli.completion import SHELLS, completion
from handlers.cli.interruption import INTERRUPTED
from handlers.cli.options import (
    FORMATS,
    Options,
    count,
    formats,
    jobs,
    keyterms,
    known,
    replacement,
)

NAME = "parakeet-workers"

_TRANSCRIBE = """\
Transcribe recordings: files, folders and URLs, each into a file per format.

A recording that has its files already, made from the same content with the same settings, is
skipped: run the command again after an interruption, or once a failure is mended. A recording that
fails does not stop the others.
"""
_EXAMPLES = f"""\
examples:
  {NAME} transcribe call.mp3
      words and speakers by the models on this machine, into call.srt and call.txt
  {NAME} transcribe calls/ --out transcripts/ --format html,json --speakers 2
      all recordings of a folder and those below it, with two speakers each
  {NAME} transcribe https://example.com/talk.mp4 --endpoint abc123xyz --format vtt
      by a RunPod endpoint, with the key in RUNPOD_API_KEY
  {NAME} transcribe calls/ --server http://localhost:8000 --jobs 4 --json
      by a server with OpenAI's API, four at a time; a line of JSON for each recording

exit codes: 0 all done, 1 some failed, 2 wrong command line, 130 interrupted
"""
_MODELS = "Fetch models before they are needed, and check that they are whole."
_COMPLETION = f"""\
Print what makes a shell complete this command.

  bash, zsh: source <({NAME} completion bash)     (zsh instead of bash there)
  fish: {NAME} completion fish | source
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Do what the command line says. Exit with code 1 and one line on a failure, or with 130."""
    parser = build()
    arguments = parser.parse_args(argv)
    try:
        code = _run(parser, arguments)
    except (RequestError, SettingsError) as error:
        parser.exit(2, f"{NAME}: {error}\n")
    except WorkerError as error:
        sys.exit(f"{error.code}: {error}")
    except KeyboardInterrupt:
        parser.exit(INTERRUPTED, f"{NAME}: interrupted\n")
    except OSError as error:
        sys.exit(f"{error.filename or NAME}: {error.strerror or type(error).__name__}")
    sys.exit(code)


def _run(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    if arguments.command == "completion":
        print(completion(arguments.shell, parser), end="")
        return 0
    if arguments.command == "models":
        from handlers.cli import models

        return models.run(arguments)
    from handlers.cli.transcribe import transcribe

    return transcribe(Options.of(arguments))


def build() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog=NAME,
        description="Speech to text with speaker labels.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{NAME} {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_transcribe(_command(commands, "transcribe", _TRANSCRIBE, _EXAMPLES))
    _add_models(_command(commands, "models", _MODELS))
    shells = _command(commands, "completion", _COMPLETION)
    shells.add_argument("shell", choices=SHELLS)
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    description: str,
    epilog: str | None = None,
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=description.splitlines()[0],
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_transcribe(to: argparse.ArgumentParser) -> None:
    to.add_argument("sources", nargs="+", metavar="SOURCE", help="a file, a folder or a URL")
    to.add_argument(
        "--format",
        type=formats,
        default=("srt", "txt"),
        metavar="LIST",
        help=f"separated by commas: {', '.join(FORMATS)}; default: srt,txt",
    )
    to.add_argument(
        "--out",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="folder for the files; default: the current one",
    )
    to.add_argument("--language", metavar="CODE", help="such as en; default: as the model hears")
    to.add_argument(
        "--speakers",
        type=count,
        default="auto",
        metavar="N",
        help="how many: 2, a range 2-5, auto, or none for words alone; default: auto",
    )
    to.add_argument(
        "--channels",
        choices=[str(one) for one in Channels],
        default=str(Channels.MIX),
        help="split: each channel is one speaker, and --speakers has no effect; default: mix",
    )
    to.add_argument(
        "--known",
        type=known,
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="name whoever sounds like the one who speaks in this file; once for each person",
    )
    _add_words(to)
    to.add_argument(
        "--jobs", type=jobs, metavar="N", help="recordings at a time; default: 1, or 4 elsewhere"
    )
    to.add_argument(
        "--overwrite",
        action="store_true",
        help="replace files of others, of another recording, or that were changed",
    )
    to.add_argument("--json", action="store_true", help="print a line of JSON for each recording")
    _add_ways(to.add_argument_group("where the work is done").add_mutually_exclusive_group())


def _add_words(to: argparse.ArgumentParser) -> None:
    to.add_argument(
        "--keyterms",
        type=keyterms,
        action="extend",
        default=[],
        metavar="LIST",
        help="names and terms that are likely to be said, separated by commas",
    )
    to.add_argument(
        "--replace",
        type=replacement,
        action="append",
        default=[],
        metavar="FROM=TO",
        help="write TO for a word or phrase; once for each",
    )
    to.add_argument("--remove-fillers", action="store_true", help='leave "um" and its like out')


def _add_ways(to: argparse._MutuallyExclusiveGroup) -> None:
    to.add_argument(
        "--local",
        action="store_true",
        help="on this machine, on the models of MODEL_ID and DIARIZATION_MODEL_ID; the default",
    )
    to.add_argument(
        "--endpoint",
        metavar="ID",
        help="in a RunPod endpoint, a single worker or an orchestrator; RUNPOD_API_KEY is the key",
    )
    to.add_argument(
        "--server",
        metavar="URL",
        help="by a server with OpenAI's API; OPENAI_API_KEY is the key, if it wants one",
    )


def _add_models(to: argparse.ArgumentParser) -> None:
    to.add_argument("action", choices=("check", "prefetch"), help="compare files, or fetch them")
    to.add_argument(
        "ids",
        nargs="*",
        metavar="ID[@REVISION]",
        help="default: MODEL_ID and DIARIZATION_MODEL_ID",
    )
    to.add_argument("--to", type=Path, metavar="FOLDER", help="default: the network volume")
