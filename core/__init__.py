"""Speech to text with speaker labels: the work, free of any SDK.

The floors and the way of the data: docs/architecture/00-overview.md.
"""
