"""Tests of core.remote."""
