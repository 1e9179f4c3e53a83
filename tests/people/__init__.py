"""Tests on people's speech, with real models; see `tests.people.make` for where both come from."""
