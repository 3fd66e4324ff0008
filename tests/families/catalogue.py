"""The families there are recipes for."""

from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from . import (
    apertus,
    baidu,
    blip,
    cohere,
    deepseek,
    deepseek_ocr,
    dots,
    fuyu,
    gemma,
    gemma4,
    glm,
    granite,
    houses,
    hunyuan,
    idefics,
    inkling,
    liquid,
    llava,
    meta,
    minicpm,
    mistral,
    muse,
    nvidia,
    ocr,
    ovis,
    qwen,
    qwen_kin,
    smolvlm,
    timm_towers,
    video,
    vipllava,
)
from .declined import BROKEN
from .recipe import Recipe

_EVERY: dict[str, Recipe] = {
    **llava.RECIPES,
    **vipllava.RECIPES,
    **qwen.RECIPES,
    **qwen_kin.RECIPES,
    **glm.RECIPES,
    **mistral.RECIPES,
    **hunyuan.RECIPES,
    **fuyu.RECIPES,
    **timm_towers.RECIPES,
    **dots.RECIPES,
    **deepseek_ocr.RECIPES,
    **inkling.RECIPES,
    **nvidia.RECIPES,
    **minicpm.RECIPES,
    **muse.RECIPES,
    **houses.RECIPES,
    **cohere.RECIPES,
    **liquid.RECIPES,
    **baidu.RECIPES,
    **video.RECIPES,
    **granite.RECIPES,
    **gemma.RECIPES,
    **idefics.RECIPES,
    **blip.RECIPES,
    **gemma4.RECIPES,
    **deepseek.RECIPES,
    **meta.RECIPES,
    **ocr.RECIPES,
    **ovis.RECIPES,
    **smolvlm.RECIPES,
    **apertus.RECIPES,
}
_KNOWN = {*MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES}

RECIPES: dict[str, Recipe] = {
    name: recipe
    for name, recipe in _EVERY.items()
    if (recipe.model_type or name) in _KNOWN and recipe.runs_here
}
"""Those of them that the installed transformers has and runs: versions differ by a few."""

TOO_NEW: frozenset[str] = frozenset(name for name, each in _EVERY.items() if not each.runs_here)
"""Those that it has and does not run yet."""

FAMILIES: tuple[str, ...] = tuple(
    name for name in RECIPES if RECIPES[name].decoder_only and name not in BROKEN
)
"""Families with a decoder that the installed transformers can run: the library serves them."""

NOT_SERVED: tuple[str, ...] = tuple(name for name in RECIPES if not RECIPES[name].decoder_only)
"""Encoder-decoder families, which it must turn away."""
