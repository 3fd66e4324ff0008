"""The model types that the library turns away, and why; the reasons are the page's own words."""

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
