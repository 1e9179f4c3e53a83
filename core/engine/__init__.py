"""What every model needs: a device, a thread, a fast import."""
