"""The single worker: python -m handlers.single"""

from core import pipeline
from handlers import adapter


def main() -> None:
    """Load the models, then take jobs."""
    adapter.start(pipeline.load_single)


if __name__ == "__main__":
    main()
