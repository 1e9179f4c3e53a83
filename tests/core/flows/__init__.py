"""Tests of core.flows."""
