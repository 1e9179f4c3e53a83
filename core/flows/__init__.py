"""The roles' work, from a request to a transcript."""
