"""Find who speaks when in a waveform."""
