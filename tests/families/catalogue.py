"""The families there are recipes for."""

from . import blip, gemma, idefics, llava, others, qwen
from .recipe import Recipe

RECIPES: dict[str, Recipe] = {
    **llava.RECIPES,
    **qwen.RECIPES,
    **gemma.RECIPES,
    **idefics.RECIPES,
    **blip.RECIPES,
    **others.RECIPES,
}
FAMILIES: tuple[str, ...] = tuple(name for name in RECIPES if RECIPES[name].decoder_only)
"""Families with a decoder, which the library serves."""

NOT_SERVED: tuple[str, ...] = tuple(name for name in RECIPES if name not in FAMILIES)
"""Encoder-decoder families, which it must turn away."""
