"""python -m core.modelstore --prefetch: put the models on a network volume, or into an image,
before a worker needs them. `parakeet-workers models` does the same.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from core.errors import WorkerError
from core.modelstore.ids import split_revision
from core.modelstore.places import VOLUME
from core.modelstore.tending import tend


def main(arguments: list[str] | None = None) -> None:
    """Do what the command line says.

    On a failure print one line and exit with code 1; exit with 2 if the command line is wrong.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if not (options.prefetch or options.check):
        parser.error("give --prefetch, --check or both")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        tend(options.ids, options.to, prefetch=options.prefetch, check=options.check)
    except WorkerError as error:
        sys.exit(f"{error.code}: {error}")
    except OSError as error:
        sys.exit(f"{options.to}: {error.strerror or type(error).__name__}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m core.modelstore", description=__doc__)
    parser.add_argument(
        "ids",
        nargs="*",
        type=split_revision,
        metavar="ID[@REVISION]",
        help="default: MODEL_ID and DIARIZATION_MODEL_ID",
    )
    parser.add_argument("--prefetch", action="store_true", help="fetch what is not there")
    parser.add_argument(
        "--check", action="store_true", help="read all files and compare them with what was fetched"
    )
    parser.add_argument(
        "--to", type=Path, default=VOLUME, metavar="FOLDER", help="default: %(default)s"
    )
    return parser


if __name__ == "__main__":
    main()
