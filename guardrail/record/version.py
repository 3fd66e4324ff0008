"""The version that records name: the installed one, which `pyproject.toml` alone says."""

from importlib.metadata import version

__version__ = version("safecode-guardrail")
