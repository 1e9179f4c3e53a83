"""The orchestrator: python -m handlers.orchestrator"""

from core import orchestration
from handlers import adapter


def main() -> None:
    """Find the endpoints, then take jobs."""
    adapter.start(orchestration.load)


if __name__ == "__main__":
    main()
