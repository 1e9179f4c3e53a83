"""Tests of core.media."""
