"""The page of a transcript in a real browser: run by make test-page."""
