"""A model behind an OpenAI-compatible server, as a backend; no torch, no transformers."""
