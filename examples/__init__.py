"""Clients, and the demo."""
