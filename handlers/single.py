"""The single worker: python -m handlers.single"""

from core.flows import pipeline
from handlers.runpod import worker


def main() -> None:
    """Load the models, then take jobs."""
    worker.start(pipeline.load_single)


if __name__ == "__main__":
    main()
