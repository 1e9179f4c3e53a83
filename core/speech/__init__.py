"""Utterances to words."""
