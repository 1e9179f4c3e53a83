"""Tests of core.domain."""
