"""The most bytes of JSON that the platform carries; it drops anything larger silently."""

MAX_RUN_BYTES = 10_000_000
"""For a request or an answer of `/run`."""
MAX_RUNSYNC_BYTES = 20_000_000
"""For a request or an answer of `/runsync`."""
