"""Speech to text with speaker labels: the work, free of any SDK.

The floors and the path of a request: docs/architecture/00-overview.md.
"""

__version__ = "0.2.0"
"""The one place of the version: packages, images and releases read it here."""
