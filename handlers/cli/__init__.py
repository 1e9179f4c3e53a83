"""The command line: parakeet-workers, or python -m handlers.cli."""
