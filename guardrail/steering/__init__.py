"""What is done to the logits, and the way of a request through judge, policy and decoding."""
