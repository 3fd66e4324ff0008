"""Whether a model can be guided as it was given: its kind, and the state that it is in.

Asked three times: of a configuration before weights are loaded, of a model when it is wrapped, and
cheaply of its state at each request, since a model may be switched to training, or its generation
config changed, after it was wrapped. Nothing is changed here.
"""

from __future__ import annotations

import os
from typing import Any

from torch import nn

from guardrail.backends.transformers.placement import weight_without_values
from guardrail.errors import ModelError
from guardrail.request.settings import unguidable

OWN_RUN: dict[str, Any] = {
    "use_cache": True,
    "cache_implementation": None,
    "cache_config": None,
    "max_cache_len": None,
    "return_dict_in_generate": False,
    "stop_strings": None,
}
"""Arguments of `generate()` for a run of our own, in place of the generation config's.

They change how the tokens are computed, and not which they are: a cache of the dynamic kind, which
can be forked. Stop strings are the decoder's own business.
"""

_OTHER_DECODERS = {
    "diffusion_gemma": "it fills blocks by diffusion instead of decoding token by token",
    "pi0": "it produces robot actions, not text",
    "evolla": "it reads proteins, not pictures",
    "blip": "it captions pictures and answers no requests",
    "instructblipvideo": "it reads videos, not pictures",
    "kosmos-2.5": "it scales each picture by that picture's own contrast, so that noise has no set "
    "strength",
    "mistral4": "it reads text only",
    "shieldgemma2": "it judges pictures by its processor's policies and takes no requests: "
    "name it as a policy's judge",
}


def check_family(config: Any) -> None:
    """Raises a `ModelError` if models of this configuration cannot be guided.

    Args:
        config: A Hugging Face model configuration.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    kind = getattr(config, "model_type", "") or type(config).__name__
    if kind in _OTHER_DECODERS:
        raise ModelError(f"model type {kind!r} cannot be guided: {_OTHER_DECODERS[kind]}")
    inner = getattr(config, "text_config", None)
    if getattr(config, "is_encoder_decoder", False) or getattr(inner, "is_encoder_decoder", False):
        raise ModelError(
            f"model type {kind!r} cannot be guided: it is an encoder-decoder, and guided decoding "
            "needs a decoder-only model"
        )
    known = kind in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    if not known and not _maps_to_image_text_to_text(config):
        raise ModelError(
            f"model type {kind!r} is no multimodal LLM: expected a type that "
            "AutoModelForImageTextToText can load"
        )


def check_model(model: Any) -> None:
    """Raises a `ModelError` if this is no model that can be guided, or not as it is now.

    Args:
        model: What was given as the model; unchanged.
    """
    _check_kind(model)
    check_family(model.config)
    kind = type(model).__name__
    if not callable(getattr(model, "generate", None)):
        raise ModelError(
            f"model is a {kind}, which has no language head and cannot generate: "
            "load it with AutoModelForImageTextToText"
        )
    if getattr(model, "generation_config", None) is None:
        raise ModelError(
            f"the generation config of this {kind} is None, and generate() needs one: "
            "set model.generation_config = GenerationConfig.from_model_config(model.config)"
        )
    empty = weight_without_values(model)
    if empty is not None:
        raise ModelError(
            f"weight {empty!r} is on the meta device and has no values: "
            "load the model with from_pretrained"
        )
    check_state(model)


def check_state(model: Any) -> None:
    """Raises a `ModelError` if a model is in a state in which it cannot be guided.

    Reads attributes only: about a millisecond per thousand modules.

    Args:
        model: One that passed `check_model`; unchanged.
    """
    for name, module in model.named_modules():
        if module.training:
            raise ModelError(
                f"{repr(name) + ' of the model' if name else 'the model'} is in train mode, in "
                "which dropout is random and gradient checkpointing drops the cache: "
                "call model.eval()"
            )
        # BLIP-2 and its like answer by an inner model's generation config.
        config = vars(module).get("generation_config")
        found = unguidable(vars(config)) if config is not None else None
        if found is not None:
            place = f"model.{name}.generation_config" if name else "model.generation_config"
            raise ModelError(
                f"the model's generation config asks for {found.what} "
                f"({found.name}={found.value!r}), which cannot be guided: "
                f"set {place}.{found.name} = {found.neutral!r}"
            )
    _check_adapters(model)


def _check_kind(model: Any) -> None:
    if hasattr(model, "config"):
        return
    from transformers import Pipeline, PreTrainedTokenizerBase, ProcessorMixin

    kind = type(model).__name__
    if isinstance(model, (str, os.PathLike)):
        raise ModelError(
            f"model is {str(model)!r}, expected a loaded model: use from_pretrained({str(model)!r})"
        )
    if isinstance(model, Pipeline):
        raise ModelError(
            f"model is a pipeline ({kind}), expected the model itself: "
            "pass model=pipeline.model, processor=pipeline.processor"
        )
    if isinstance(model, (ProcessorMixin, PreTrainedTokenizerBase)):
        raise ModelError(
            f"model is a {kind}, expected a Hugging Face model: are model and processor swapped?"
        )
    if isinstance(getattr(model, "module", None), nn.Module):
        raise ModelError(f"model is a {kind}, expected the model within: pass model.module")
    raise ModelError(f"model is a {kind}, expected a Hugging Face image-text-to-text model")


def _check_adapters(model: Any) -> None:
    """Turns away adapters that PEFT applies within its own `generate()` only."""
    adapters = getattr(model, "peft_config", None)
    for name, config in adapters.items() if isinstance(adapters, dict) else ():
        kind = str(getattr(config.peft_type, "value", config.peft_type))
        if getattr(config, "alora_invocation_tokens", None):
            kind = "activated LoRA"
        elif kind != "XLORA" and not getattr(config, "is_prompt_learning", False):
            continue
        raise ModelError(
            f"adapter {name!r} is of the kind {kind}, which acts within PEFT's generate() only and "
            "cannot be guided: expected one that changes weights, such as LoRA"
        )


def _maps_to_image_text_to_text(config: Any) -> bool:
    from transformers import AutoModelForImageTextToText

    remote = (getattr(config, "auto_map", None) or {}).keys()
    mapped = type(config) in AutoModelForImageTextToText._model_mapping
    return mapped or "AutoModelForImageTextToText" in remote
