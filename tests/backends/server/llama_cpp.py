"""llama.cpp's own server over a tiny LLaVA, and the same weights for transformers.

Needs the packages `xllamacpp` (the server, as a wheel) and `gguf` (its file format). The two files
that the server reads are written here: llama.cpp's converter has no LLaVA but Pixtral's. The tower
is SigLIP's, since llama.cpp misplaces the class token of CLIP's (its issue 25814).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast, ProcessorMixin

    Weights = dict[str, NDArray[np.float32]]

MODEL = "tiny-llava"
"""The name under which the server lists the model; it answers to any."""
SIDE = 16
"""The tower's, in pixels. Both see square pictures of any size alike; of others llama.cpp pads what
transformers crops."""
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ message['role'].upper() + (':' if message['role'] == 'assistant' else ': ') }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{{ '<image>' if part['type'] == 'image' else part['text'] }}"
    "{% endfor %}{% endif %}"
    "{{ '</s>' if message['role'] == 'assistant' else ' ' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
"""The same for both, which llama.cpp allows only if a picture is its placeholder and no more.

It shows the template a picture as text. An answer, begun or finished, follows right on the colon.
"""

_TEXT, _PICTURES, _CHECKPOINT, _LOG = "text.gguf", "pictures.gguf", "transformers", "server.log"
_PATCH = 8
_SEED = 7  # answers vary, and their text, read again, has the tokens they were said in
_UNLIKELY = -40.0  # logit
_BLOCK = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_TOWER_BLOCK = {
    "layer_norm1": "ln1",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.out_proj": "attn_out",
    "layer_norm2": "ln2",
    "mlp.fc1": "ffn_up",
    "mlp.fc2": "ffn_down",
}


def make(folder: Path, *, half_characters: bool = False) -> Path:
    """Writes the checkpoint and its GGUF files into `folder`; returns transformers' own folder.

    Args:
        folder: An existing folder.
        half_characters: Whether the model also says single bytes of characters, which the server
            holds back until the character is whole; else it says printable ASCII.
    """
    saved = folder / _CHECKPOINT
    model, processor = _tiny_llava()
    if not half_characters:
        _speak_plainly(model, processor.tokenizer)
    model.save_pretrained(saved)
    processor.save_pretrained(saved)
    config = json.loads((saved / "config.json").read_text(encoding="utf-8"))
    weights = _weights(saved)
    _write_text(folder / _TEXT, config["text_config"], weights, saved)
    _write_pictures(folder / _PICTURES, config, weights)
    return saved


@contextmanager
def llama_server(folder: Path, *, slots: int = 2, context: int = 4096) -> Iterator[str]:
    """Serves what `make` wrote into `folder`; yields the base URL, up to `/v1`.

    Runs in a process of its own, on one thread and a free port: the server takes over signals.

    Args:
        folder: Where the GGUF files are; the server's log goes there too.
        slots: Requests answered at once.
        context: Tokens that all slots share; one request has 2,048 of them at most.

    Raises:
        RuntimeError: The server does not start; the message ends its log.
    """
    program = [sys.executable, __file__, str(folder), str(slots), str(context)]
    with (
        (folder / _LOG).open("wb") as log,
        subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            if not address:
                said = (folder / _LOG).read_text(encoding="utf-8", errors="replace")
                raise RuntimeError(f"llama.cpp's server did not start: {said[-2000:]}")
            yield f"{address}/v1"
        finally:
            process.stdin.close()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()


def _tiny_llava() -> tuple[PreTrainedModel, ProcessorMixin]:
    import torch
    import transformers as hf

    from tests.families.parts import llama_text
    from tests.families.recipe import decoder, square, vision
    from tests.families.weights import spread_weights

    text = llama_text(CHAT_TEMPLATE)
    processor = hf.LlavaProcessor(
        image_processor=hf.CLIPImageProcessorPil(
            size={"shortest_edge": SIDE},
            crop_size=square(SIDE),
            image_mean=[0.5] * 3,
            image_std=[0.5] * 3,
        ),
        tokenizer=text,
        patch_size=_PATCH,
        vision_feature_select_strategy="full",
        num_additional_image_tokens=0,
        chat_template=CHAT_TEMPLATE,
    )
    gelu = "gelu_pytorch_tanh"  # llama.cpp's one GELU
    tower = vision("siglip_vision_model", image_size=SIDE, patch_size=_PATCH, hidden_act=gelu)
    config = hf.LlavaConfig(
        vision_config={**tower, "vision_use_head": False},
        text_config=decoder(text, "llama"),
        image_token_index=text.convert_tokens_to_ids("<image>"),
        image_seq_length=(SIDE // _PATCH) ** 2,
        projector_hidden_act=gelu,
        vision_feature_select_strategy="full",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        model = hf.AutoModelForImageTextToText.from_config(config, dtype=torch.float32)
    spread_weights(model, seed=_SEED)
    return model.eval(), processor


def _speak_plainly(model: Any, tokenizer: PreTrainedTokenizerFast) -> None:
    """Makes all tokens unlikely but the end and those of printable ASCII; in place.

    The first channel is kept at one from the embeddings to the head, which has no bias of its own.
    """
    import torch

    special = set(tokenizer.all_special_ids) - {tokenizer.eos_token_id}
    said = [tokenizer.decode([token]) for token in range(len(tokenizer))]
    plain = [text.isascii() and text.isprintable() for text in said]
    unlikely = [token for token, kept in enumerate(plain) if token in special or not kept]
    decoder, projector = model.model.language_model, model.model.multi_modal_projector
    with torch.no_grad():
        decoder.embed_tokens.weight[:, 0] = 1.0
        projector.linear_2.weight[0], projector.linear_2.bias[0] = 0.0, 1.0
        for layer in decoder.layers:
            layer.self_attn.o_proj.weight[0] = 0.0
            layer.mlp.down_proj.weight[0] = 0.0
        model.lm_head.weight[unlikely, 0] = _UNLIKELY


def _weights(saved: Path) -> Weights:
    from safetensors.numpy import load_file

    return dict(load_file(saved / "model.safetensors"))


def _write_text(path: Path, config: dict[str, Any], weights: Weights, saved: Path) -> None:
    import gguf

    heads, kept = config["num_attention_heads"], config["num_key_value_heads"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kept)
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    _add_vocabulary(writer, config, saved)
    model = "language_model.model"
    tensors = {
        "token_embd.weight": weights[f"{model}.embed_tokens.weight"],
        "output_norm.weight": weights[f"{model}.norm.weight"],
        "output.weight": weights["language_model.lm_head.weight"],
    }
    for layer in range(config["num_hidden_layers"]):
        for theirs, ours in _BLOCK.items():
            tensor = weights[f"{model}.layers.{layer}.{theirs}.weight"]
            if ours in ("attn_q", "attn_k"):
                tensor = _by_neighbours(tensor, heads if ours == "attn_q" else kept)
            tensors[f"blk.{layer}.{ours}.weight"] = tensor
    _write(writer, tensors)


def _by_neighbours(weight: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Rows (heads * width, hidden) so that rotary positions turn neighbours, not halves."""
    halves = weight.reshape(heads, 2, -1, weight.shape[1])
    return halves.swapaxes(1, 2).reshape(weight.shape)


def _add_vocabulary(writer: Any, config: dict[str, Any], saved: Path) -> None:
    import gguf

    tokenizer = json.loads((saved / "tokenizer.json").read_text(encoding="utf-8"))
    added = {each["content"]: each["id"] for each in tokenizer["added_tokens"]}
    ids: dict[str, int] = tokenizer["model"]["vocab"] | added
    tokens = sorted(ids, key=ids.__getitem__)
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_tokenizer_model("gpt2")  # byte-level BPE
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([control if token in added else normal for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def _write_pictures(path: Path, config: dict[str, Any], weights: Weights) -> None:
    import gguf

    tower = config["vision_config"]
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_type(gguf.GGUFType.MMPROJ)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type("mlp")
    writer.add_vision_image_size(tower["image_size"])
    writer.add_vision_patch_size(tower["patch_size"])
    writer.add_vision_embedding_length(tower["hidden_size"])
    writer.add_vision_feed_forward_length(tower["intermediate_size"])
    writer.add_vision_block_count(tower["num_hidden_layers"])
    writer.add_vision_head_count(tower["num_attention_heads"])
    writer.add_vision_projection_dim(config["text_config"]["hidden_size"])
    writer.add_vision_attention_layernorm_eps(tower["layer_norm_eps"])
    writer.add_vision_image_mean([0.5] * 3)
    writer.add_vision_image_std([0.5] * 3)
    writer.add_vision_use_gelu(True)
    embeddings, blocks = "vision_tower.embeddings", "vision_tower.encoder.layers"
    tensors = {
        "v.patch_embd.weight": weights[f"{embeddings}.patch_embedding.weight"],
        "v.patch_embd.bias": weights[f"{embeddings}.patch_embedding.bias"],
        "v.position_embd.weight": weights[f"{embeddings}.position_embedding.weight"],
    }
    for part in ("weight", "bias"):
        tensors[f"mm.0.{part}"] = weights[f"multi_modal_projector.linear_1.{part}"]
        tensors[f"mm.2.{part}"] = weights[f"multi_modal_projector.linear_2.{part}"]
        for layer in range(tower["num_hidden_layers"]):
            for theirs, ours in _TOWER_BLOCK.items():
                tensor = weights[f"{blocks}.{layer}.{theirs}.{part}"]
                tensors[f"v.blk.{layer}.{ours}.{part}"] = tensor
    _write(writer, tensors)


def _write(writer: Any, tensors: Weights) -> None:
    for name, tensor in tensors.items():
        writer.add_tensor(name, np.ascontiguousarray(tensor))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _serve(folder: Path, *, slots: int, context: int) -> None:
    """Prints the address and serves until standard input closes."""
    import xllamacpp

    options = xllamacpp.CommonParams()
    options.model.path = str(folder / _TEXT)
    options.mmproj.path = str(folder / _PICTURES)
    options.model_alias = {MODEL}
    options.n_ctx = context
    options.n_parallel = slots
    options.kv_unified = True
    # Half precision, the default here, moves log-probabilities by a hundredth.
    options.cache_type_k = options.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    options.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    options.cpuparams.n_threads = options.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(options)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), slots=int(sys.argv[2]), context=int(sys.argv[3]))
