"""The example programs, against the emulator."""
