"""Loading a model and its processor, with everything checked before the weights are touched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from guardrail.errors import ModelError

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


def load_model(path_or_id: str | Path, **load_arguments: Any) -> tuple[Any, Any]:
    """Returns (model in eval mode, processor).

    Args:
        path_or_id: A local folder, or an id on the Hugging Face hub.
        **load_arguments: For `AutoModelForImageTextToText.from_pretrained`.

    Raises:
        ModelError: There is no such model, it is no multimodal LLM, or its files cannot be read.
    """
    from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

    path_or_id = Path(path_or_id).expanduser() if str(path_or_id).startswith("~") else path_or_id
    path = Path(path_or_id)
    if not path.exists() and (str(path_or_id).startswith((".", "/")) or len(path.parts) > 2):
        raise ModelError(f"cannot load {str(path_or_id)!r}: there is no such folder")
    if path.exists() and not path.is_dir():
        raise ModelError(f"{str(path)!r} is a file, expected a model's folder or a hub id")
    if path.is_dir() and not (path / "config.json").is_file():
        raise ModelError(f"{str(path)!r} holds no config.json: it is no Hugging Face model")
    trust = {
        name: load_arguments[name]
        for name in ("trust_remote_code", "revision", "token", "cache_dir", "local_files_only")
        if name in load_arguments
    }
    register_architectures(path)
    try:
        config = AutoConfig.from_pretrained(str(path_or_id), **trust)
    except Exception as error:
        raise ModelError(f"cannot load {str(path_or_id)!r}: {_first_line(error)}") from error
    check_family(config)
    try:
        processor = AutoProcessor.from_pretrained(str(path_or_id), **trust)
        model = AutoModelForImageTextToText.from_pretrained(str(path_or_id), **load_arguments)
    except Exception as error:
        raise ModelError(f"cannot load {str(path_or_id)!r}: {_first_line(error)}") from error
    return model.eval(), processor


def register_architectures(folder: Path) -> None:
    """Imports the modules that teach transformers the model types a local model is made of.

    They are published under the entry-point group `guardrail.architectures`, by model type.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return  # not local, or no configuration: loading it will say so
    for kind in _model_types(config):
        for entry in entry_points(group="guardrail.architectures", name=kind):
            entry.load()


def _model_types(config: Any) -> Iterator[str]:
    if isinstance(config, dict):
        if isinstance(config.get("model_type"), str):
            yield config["model_type"]
        for value in config.values():
            yield from _model_types(value)


def _maps_to_image_text_to_text(config: Any) -> bool:
    from transformers import AutoModelForImageTextToText

    remote = (getattr(config, "auto_map", None) or {}).keys()
    mapped = type(config) in AutoModelForImageTextToText._model_mapping
    return mapped or "AutoModelForImageTextToText" in remote


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    line = lines[0] if lines else type(error).__name__
    return line if len(line) <= 200 else f"{line[:197]}..."
