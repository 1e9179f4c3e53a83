"""What goes over the wire: requests in, answers out, and what our own workers say to each other."""
