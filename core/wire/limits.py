"""What the platform carries, in bytes of JSON. It loses what is larger without a word."""

MAX_RUN_BYTES = 10_000_000
"""A request or an answer by `/run`."""
MAX_RUNSYNC_BYTES = 20_000_000
"""The same by `/runsync`."""
