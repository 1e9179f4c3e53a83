"""From utterances to words."""
