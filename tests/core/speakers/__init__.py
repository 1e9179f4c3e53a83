"""Tests of core.speakers."""
