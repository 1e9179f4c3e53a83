"""parakeet-workers models check|prefetch."""

from __future__ import annotations

import argparse
import logging
import sys

from core.modelstore.ids import split_revision
from core.modelstore.places import VOLUME
from core.modelstore.tending import tend


def run(arguments: argparse.Namespace) -> int:
    """Fetch or check models; say what was done, a line for each."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    tend(
        [split_revision(one) for one in arguments.ids],
        arguments.to or VOLUME,
        prefetch=arguments.action == "prefetch",
        check=arguments.action == "check",
    )
    return 0
