"""A model in this process, run by Hugging Face transformers."""
