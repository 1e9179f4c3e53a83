"""What builds the embedded models and the test recordings; nothing here runs in a worker."""
