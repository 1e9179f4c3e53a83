"""python -m core.modelstore --prefetch: put the models on a network volume, or into an image,
before a worker needs them.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from core.errors import ModelNotFound, WorkerError
from core.modelstore.hub import Hub
from core.modelstore.ids import display_name, is_path, split_revision
from core.modelstore.places import EMBEDDED, VOLUME
from core.modelstore.prefetch import Asked, Shelf
from core.settings import Settings


def main(arguments: list[str] | None = None) -> None:
    """Do what the command line says; on a failure print one line and exit with code 1."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        _run(options)
    except WorkerError as error:
        sys.exit(f"{error.code}: {error}")
    except OSError as error:
        sys.exit(f"{options.to}: {error.strerror or type(error).__name__}")


def _run(options: argparse.Namespace) -> None:
    settings = Settings.from_environment()
    if not options.to.parent.is_dir():
        raise ModelNotFound(
            f"there is no {options.to.parent}: attach a network volume to the endpoint, or name "
            "a folder with --to"
        )
    shelf = Shelf(options.to, Hub(None, settings.hub_token))
    for model_id, revision in options.ids or _of_the_environment(settings):
        if options.prefetch:
            shelf.fill(model_id, revision)
        if options.check:
            shelf.check(model_id, revision)


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


def _of_the_environment(settings: Settings) -> list[Asked]:
    models = [settings.model_id, settings.diarization_model_id]
    for model_id in models:
        if model_id == EMBEDDED or is_path(model_id):
            logging.info("%s: nothing to fetch", display_name(model_id))
    return [
        split_revision(model_id)
        for model_id in models
        if model_id != EMBEDDED and not is_path(model_id)
    ]


if __name__ == "__main__":
    main()
