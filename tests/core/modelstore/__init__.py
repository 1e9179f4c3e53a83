"""Tests of core.modelstore."""
