"""The model types that the library turns away, and why; the reasons are the page's own words."""

import transformers

DECLINED: dict[str, str] = {
    "blip": "captions pictures and answers no requests",
    "diffusion_gemma": "fills blocks by diffusion instead of decoding token by token",
    "evolla": "reads proteins, not pictures",
    "florence2": "encoder-decoder",
    "instructblipvideo": "reads videos, not pictures",
    "kosmos-2.5": "scales each picture by that picture's own contrast: noise has no set strength",
    "mistral4": "reads text only",
    "pi0": "produces robot actions, not text",
    "pix2struct": "encoder-decoder",
    "pp_formulanet": "encoder-decoder",
    "shieldgemma2": "judges pictures by its processor's policies and takes no requests: a judge",
    "t5gemma2": "encoder-decoder",
    "udop": "encoder-decoder",
    "vision-encoder-decoder": "encoder-decoder",
}

NOT_BUILDABLE: dict[str, str] = {}
"""Types of which no tiny checkpoint can be made from configuration, and why: never tried."""

_BROKEN: dict[str, dict[str, str]] = {
    "5.24.0": {
        "llama4": "its forward pass fails in transformers 5.24.0: it reads `image_outputs` off its "
        "decoder's output, which has none"
    }
}

BROKEN: dict[str, str] = _BROKEN.get(transformers.__version__, {})
"""Types that the installed transformers itself cannot run, and why; they have recipes."""

SOMEWHERE_BROKEN: frozenset[str] = frozenset(kind for kinds in _BROKEN.values() for kind in kinds)
"""Types that one version or another cannot run."""
