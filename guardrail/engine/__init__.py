"""The decoding engine: noise, contrast, verdict, modulation, guided decoding.

It knows transformers models and tensors. It deliberately does not know LangChain, YAML, command
lines or telemetry.
"""
