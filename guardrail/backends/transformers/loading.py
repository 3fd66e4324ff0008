"""Loading a model and its processor, with everything checked before the weights are touched."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from guardrail.backends.transformers.suitability import check_family
from guardrail.errors import ModelError


def model_type(path_or_id: str | Path) -> str:
    """Returns the model type of a local folder or a hub id.

    Raises:
        ModelError: It has no configuration that can be read.
    """
    from transformers import AutoConfig

    try:
        return str(AutoConfig.from_pretrained(str(path_or_id)).model_type)
    except Exception as error:
        raise ModelError(f"cannot load the judge {str(path_or_id)!r}: {error}") from error


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


def generate_arguments() -> set[str]:
    """Returns the names that `generate()` takes: its parameters and the generation config's."""
    from transformers import GenerationConfig, GenerationMixin

    own = set(inspect.signature(GenerationMixin.generate).parameters) - {"self", "inputs", "kwargs"}
    return own | {name for name in vars(GenerationConfig()) if not name.startswith("_")}


def quieten() -> None:
    """Silences transformers' own notices and progress bars, in this process."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()


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


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    line = lines[0] if lines else type(error).__name__
    return line if len(line) <= 200 else f"{line[:197]}..."
