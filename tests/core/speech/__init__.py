"""Tests of core.speech."""
