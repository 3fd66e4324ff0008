"""Tiny random-weight checkpoints of real model families, each with a real processor.

Every model has the family's own architecture, tokens and prompt format, at a width of 32 and a
few layers: a checkpoint builds in well under a second, runs on a CPU and needs no network. What is
built knows nothing of the library under test.

    model, processor = build("llava")
    inputs = encode("llava", [Request("What is this?", (picture(0),))])
    model.generate(**inputs)
"""

from .catalogue import FAMILIES, NOT_SERVED, RECIPES
from .checkpoint import build, load, save
from .pictures import picture
from .prompts import Request, encode, last_logits
from .recipe import Recipe

__all__ = [
    "FAMILIES",
    "NOT_SERVED",
    "RECIPES",
    "Recipe",
    "Request",
    "build",
    "encode",
    "last_logits",
    "load",
    "picture",
    "save",
]
