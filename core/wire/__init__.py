"""Data on the wire: requests in, answers out, and the messages between our own workers."""
