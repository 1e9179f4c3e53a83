"""python -m handlers.cli, and the command `parakeet-workers`."""

import sys


def main() -> None:
    """Run the command line; an interruption while it is imported has no traceback either."""
    try:
        from handlers.cli import command

        command.main()
    except KeyboardInterrupt:
        print("parakeet-workers: interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
