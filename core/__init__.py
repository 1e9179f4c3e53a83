"""Speech to text with speaker labels. A tour of the floors: docs/architecture/00-overview.md."""

__version__ = "0.2.0"
