"""What every model needs, whichever it is: a device, a thread, imports that wait."""
