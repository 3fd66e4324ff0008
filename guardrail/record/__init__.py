"""What is kept of a request: its decision, its answer with it, and who sees both."""
