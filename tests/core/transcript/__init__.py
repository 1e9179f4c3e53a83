"""Tests of core.transcript."""
