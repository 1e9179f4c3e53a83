"""A waveform to turns."""
