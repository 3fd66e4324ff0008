"""A model behind an OpenAI-compatible server, as a backend. Loads neither torch nor transformers."""
