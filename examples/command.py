"""The command lines of the examples: options, exit codes, and how to print an answer."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Coroutine
from typing import Any

import httpx2
import stamina

from examples.client import BASE_URL, Endpoint, Job, JobError, WrongKey

FORMATS = ("json", "verbose_json", "diarized_json", "text", "srt", "vtt", "html")


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the option that all programs have, and this description as its help."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    base_url = os.environ.get("RUNPOD_ENDPOINT_BASE_URL", BASE_URL)
    made.add_argument(
        "--base-url",
        default=base_url,
        help="URL of the API; default: RUNPOD_ENDPOINT_BASE_URL, else %(default)s",
    )
    return made


def add_endpoint(
    to: argparse.ArgumentParser, option: str = "--endpoint", variable: str = "RUNPOD_ENDPOINT_ID"
) -> None:
    """Add an option for an endpoint's id, with an environment variable as its default."""
    default = os.environ.get(variable)
    to.add_argument(
        option,
        default=default,
        required=default is None,
        metavar="ID",
        help=f"id of the endpoint; default: {variable}",
    )


def add_words(to: argparse.ArgumentParser) -> None:
    """Add the options about words and the form of the answer."""
    to.add_argument("--format", choices=FORMATS, default="text", help="default: text")
    to.add_argument(
        "--language", metavar="CODE", help="such as en; default: what the model makes of it"
    )
    to.add_argument(
        "--timestamps",
        action="store_true",
        help="times of words, segments and letters as well; shown by the three formats of json",
    )


def add_speakers(to: argparse.ArgumentParser) -> None:
    """Add the options about speakers."""
    to.add_argument(
        "--no-diarize", action="store_true", help="words alone, which is faster than with speakers"
    )
    to.add_argument("--num-speakers", type=int, metavar="N", help="exact number; only if sure")


def asked(arguments: argparse.Namespace) -> Job:
    """Return the fields of a request that these options say, but for the recording."""
    fields: Job = {"response_format": arguments.format}
    if arguments.language:
        fields["language"] = arguments.language
    if arguments.timestamps:
        fields["timestamps"] = True
    if arguments.no_diarize:
        fields["diarize"] = False
    if arguments.num_speakers is not None:
        fields["num_speakers"] = arguments.num_speakers
    return fields


def connect(endpoint_id: str, base_url: str) -> Endpoint:
    """Return a client with the key in RUNPOD_API_KEY.

    The key is no option: other users of the machine can read command lines.
    """
    key = os.environ.get("RUNPOD_API_KEY")
    if not key:
        sys.exit("RUNPOD_API_KEY is not set; put the key of your account into it")
    if not base_url.startswith(("http://", "https://")):
        sys.exit("--base-url must begin with https:// (or http://)")
    try:
        return Endpoint(endpoint_id, key=key, base_url=base_url)
    except httpx2.InvalidURL:
        sys.exit("--base-url or the endpoint's id does not make a URL")
    except WrongKey as error:
        sys.exit(f"RUNPOD_API_KEY: {error}")


def start(program: Coroutine[Any, Any, None]) -> None:
    """Run a program. On an expected failure exit with one line and code 1, on Ctrl-C with 130."""
    stamina.instrumentation.set_on_retry_hooks([_tell_first])  # else it logs each retry
    try:
        asyncio.run(program)
    except JobError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except KeyboardInterrupt:
        tell("interrupted")
        sys.exit(130)


def _tell_first(details: stamina.instrumentation.RetryDetails) -> None:
    """Say why it takes long, once for each request."""
    if details.retry_num == 1:
        tell(f"{getattr(details.caused_by, 'sentence', details.caused_by)}; trying again")


def as_text(output: Job, response_format: str) -> str:
    """Return an answer as the content of a file in its format."""
    if response_format in ("text", "srt", "vtt", "html"):
        return str(output[response_format])
    return json.dumps(output, indent=2, ensure_ascii=False)


def show(output: Job, response_format: str) -> None:
    """Print an answer, and its warnings to standard error."""
    for warning in output.get("warnings", ()):
        tell(f"warning: {warning}")
    print(as_text(output, response_format))


def tell(line: str) -> None:
    """Print a line to standard error, apart from the answer."""
    print(line, file=sys.stderr, flush=True)
