"""Checkpoints that real servers take, and a real vLLM server.

They hold the embedded model's language half, so that their answers are sentences and their
refusals refusals, and a vision tower of a kind that servers know, with random weights.
"""

from __future__ import annotations

import copy
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPVisionConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessorPil,
    Qwen2VLVideoProcessor,
)

from guardrail.embedded.load import load_embedded

_START_S = 240
_VISION = ("<|vision_start|>", "<|image_pad|>", "<|vision_end|>", "<|video_pad|>")


def make_llava(folder: Path, *, wide: int = 0, side: int = 224, patch: int = 32) -> Path:
    """Makes a LLaVA with a CLIP tower in `folder`.

    Args:
        folder: Where.
        wide: Neurons that are added to each layer and do nothing but cost time, as those of a
            larger model would: 16,000 of them make one of 70 M parameters.
        side: Pixels of its pictures.
        patch: Pixels that make a token, each way: 336 and 14 make 576 tokens, as of LLaVA-1.5.
    """
    own, processor = load_embedded()
    if wide:
        own = _widened(own, wide)
    torch.manual_seed(0)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=1,
            image_size=side,
            patch_size=patch,
        ),
        text_config=own.config.text_config,
        image_token_index=own.config.image_token_index,
        image_seq_length=(side // patch) ** 2,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=True,
    )
    model = LlavaForConditionalGeneration(config).eval()
    model.model.language_model.load_state_dict(own.model.language_model.state_dict())
    model.tie_weights()
    model.generation_config = own.generation_config
    model.save_pretrained(folder)
    processor.num_additional_image_tokens = 1
    processor.patch_size = patch
    shape = {"height": side, "width": side}
    processor.image_processor.size = processor.image_processor.crop_size = shape
    processor.vision_feature_select_strategy = "default"
    processor.save_pretrained(folder)
    _name_tower_as_before(folder / "model.safetensors")
    return folder


def _widened(own: Any, more: int) -> Any:
    """Returns the model with `more` neurons in each layer that add nothing to what it says."""
    config = copy.deepcopy(own.config)
    config.text_config.intermediate_size += more
    wide = type(own)(config).eval()
    found, given = wide.state_dict(), own.state_dict()
    for name, weight in found.items():
        weight.zero_()
        weight[tuple(slice(0, each) for each in given[name].shape)] = given[name]
    wide.load_state_dict(found)
    wide.generation_config = own.generation_config
    return wide


def _name_tower_as_before(file: Path) -> None:
    """Names the tower's weights as transformers did, and vLLM still does."""
    new, old = "vision_tower.", "vision_tower.vision_model."
    save_file(
        {name.replace(new, old): each.contiguous() for name, each in load_file(file).items()},
        file,
        {"format": "pt"},
    )


def make_qwen(folder: Path) -> Path:
    """Makes a Qwen2.5-VL in `folder`."""
    own, processor = load_embedded()
    text = processor.tokenizer
    text.add_special_tokens({"additional_special_tokens": list(_VISION)})
    # vLLM finds no list of parts in this template, and joins them by newlines itself.
    marks = "".join(_VISION[:3]) + "\\n"
    text.chat_template = processor.chat_template.replace("<image>\\n", marks)
    ids = text.convert_tokens_to_ids(list(_VISION))
    torch.manual_seed(0)
    inner = own.config.text_config
    config = Qwen2_5_VLConfig(
        vision_config={
            "depth": 2,
            "hidden_size": 128,
            "num_heads": 2,
            "intermediate_size": 256,
            "out_hidden_size": inner.hidden_size,
            "fullatt_block_indexes": [1],
        },
        text_config={
            "vocab_size": len(text),
            "hidden_size": inner.hidden_size,
            "intermediate_size": inner.intermediate_size,
            "num_hidden_layers": inner.num_hidden_layers,
            "num_attention_heads": inner.num_attention_heads,
            "num_key_value_heads": inner.num_key_value_heads,
            "max_position_embeddings": 2048,
            "rms_norm_eps": inner.rms_norm_eps,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [8, 12, 12],
            },
            "bos_token_id": None,
            "eos_token_id": text.eos_token_id,
            "pad_token_id": text.pad_token_id,
        },
        vision_start_token_id=ids[0],
        image_token_id=ids[1],
        vision_end_token_id=ids[2],
        video_token_id=ids[3],
        tie_word_embeddings=True,
    )
    model = Qwen2_5_VLForConditionalGeneration(config).eval()
    _take_language(model.model.language_model, own.model.language_model)
    model.tie_weights()
    model.generation_config = own.generation_config
    model.save_pretrained(folder)
    pictures = Qwen2VLImageProcessorPil(size={"shortest_edge": 56 * 56, "longest_edge": 224 * 224})
    Qwen2_5_VLProcessor(
        image_processor=pictures,
        tokenizer=text,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=text.chat_template,
    ).save_pretrained(folder)
    return folder


def _take_language(model: Any, own: Any) -> None:
    """Copies weights; biases that the other has none of become 0, and new tokens stay random."""
    given, found = own.state_dict(), model.state_dict()
    for name, weight in found.items():
        if name == "embed_tokens.weight":
            weight[: len(given[name])] = given[name]
        else:
            weight.copy_(given[name] if name in given else torch.zeros_like(weight))
    model.load_state_dict(found)


@contextmanager
def vllm_server(model: Path, *arguments: str) -> Iterator[str]:
    """Yields the URL of a real vLLM server, up to and with `/v1`.

    `GUARDRAIL_VLLM` names its executable; without it the test is skipped.
    """
    executable = os.environ.get("GUARDRAIL_VLLM")
    if not executable:
        pytest.skip("GUARDRAIL_VLLM names no vllm executable")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(executable, "serve", str(model), "--served-model-name", "tiny", "--host", "127.0.0.1"),
        *("--port", str(port), "--enforce-eager", "--dtype", "float32", "--max-model-len", "2048"),
        *("--enable-prefix-caching", *arguments),
    ]
    environment = {
        "OMP_NUM_THREADS": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        **os.environ,
        "HF_HUB_OFFLINE": "1",
    }
    with (model / "vllm.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _wait(server, f"http://127.0.0.1:{port}/health", model / "vllm.log")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            server.wait(60)


def _wait(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until and server.poll() is None:
        try:
            if httpx.get(url, timeout=1).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    raise AssertionError(log.read_text()[-2000:])
