"""The single worker: python -m handlers.single"""

from functools import partial

from core.flows.load import load_single
from core.wire.job_input import SingleInput, parse
from handlers.runpod import worker


def main() -> None:
    """Load the models, then take jobs."""
    worker.start(load_single, partial(parse, SingleInput))


if __name__ == "__main__":
    main()
