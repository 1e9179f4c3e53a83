"""Bounds of what travels: of a message in bytes, of its lists in elements."""

MAX_RUN_BYTES = 10_000_000
"""The most bytes of JSON that the platform carries for a request or an answer of `/run`.

It drops anything larger silently.
"""
MAX_RUN_FILE_BYTES = MAX_RUN_BYTES // 4 * 3
"""The largest file that base64 could bring into such a request: RFC 4648, 4."""
MAX_RUNSYNC_BYTES = 20_000_000
"""The same for `/runsync`."""

MAX_FIELDS = 32
"""The most fields of one object in a request; no role knows as many."""
MAX_TURNS = 20_000
"""The most turns in a request: one every half second for three hours."""
MAX_SPEAKERS = 100
"""The most different speakers of one recording."""
MAX_KEYTERMS = 100
"""The most key terms in a request."""
MAX_REPLACEMENTS = 200
"""The most phrases to replace in a request."""
MAX_KNOWN_SPEAKERS = 16
"""The most known speakers in a request."""
MAX_VECTOR = 1024
"""The most numbers of a voice's vector; networks for speakers have 128 to 512."""
MAX_ANSWERED = 1_000_000
"""The most words, or turns, in an endpoint's answer."""
MAX_ANSWERED_CHARACTERS = 10_000_000
"""The most characters in an endpoint's answer."""
MAX_WARNINGS = 1_000
"""The most warnings in an endpoint's answer."""
