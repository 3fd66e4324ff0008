"""dots.note, which listens too, and Emu 3, whose pictures are tokens of its vocabulary."""

import transformers as hf

from . import templates
from .parts import LLAMA, Made
from .qwen import qwen_pictures
from .recipe import HEADS, HIDDEN, Recipe, decoder, vision
from .text import tokenizer


def _dots3_note() -> Made:
    text = tokenizer(
        (
            "<|endoftext|>",
            "<|userprompt|>",
            "<|endofuserprompt|>",
            "<|assistant|>",
            "<|endofassistant|>",
            "<|system|>",
            "<|endofsystem|>",
            "<|img|>",
            "<|imgpad|>",
            "<|endofimg|>",
            "<|video_pad|>",
            "<|audio_comp_pad|>",
        ),
        eos="<|endofassistant|>",
        pad="<|endoftext|>",
        template=templates.DOTS,
    )
    processor = hf.Dots3NoteProcessor(
        image_processor=qwen_pictures(frames=1),
        tokenizer=text,
        video_processor=None,
        feature_extractor=None,
        chat_template=templates.DOTS,
    )
    ids = text.convert_tokens_to_ids
    config = hf.Dots3NoteConfig(
        vision_config=vision(
            "dots3_note_vision_encoder",
            image_size=32,
            patch_size=4,
            moe_intermediate_size=HIDDEN,
            num_local_experts=4,
            num_experts_per_tok=2,
            mlp_layer_types=["dense", "dense"],
            adapter_in_dim=HIDDEN,
            adapter_out_dim=HIDDEN,
        ),
        audio_config={
            "hidden_size": HIDDEN,
            "intermediate_size": HIDDEN,
            "num_hidden_layers": 1,
            "num_attention_heads": HEADS,
            "feature_size": 16,
            "downsample_hidden_size": 8,
            "adapter_input_size": HIDDEN,
            "adapter_out_dim": HIDDEN,
        },
        text_config=decoder(
            text,
            "dots3_note_text",
            num_key_value_heads=HEADS,
            moe_intermediate_size=HIDDEN,
            shared_experts_intermediate_size=HIDDEN,
            n_routed_experts=4,
            num_experts_per_tok=2,
            q_lora_rank=16,
            kv_lora_rank=16,
            head_dim=16,
            qk_rope_head_dim=8,
            qk_nope_head_dim=8,
            v_head_dim=8,
            index_topk=1024,
            index_head_dim=8,
            index_n_heads=2,
            sliding_window=16,
            layer_types=["indexed_attention", "sliding_attention"],
            mlp_layer_types=["dense", "sparse"],
            swa_num_attention_heads=HEADS,
            swa_num_key_value_heads=HEADS,
            swa_q_lora_rank=16,
            swa_kv_lora_rank=16,
            swa_head_dim=16,
            swa_qk_nope_head_dim=8,
            swa_v_head_dim=8,
        ),
        image_token_id=ids("<|imgpad|>"),
        video_token_id=ids("<|video_pad|>"),
        audio_token_id=ids("<|audio_comp_pad|>"),
    )
    return config, processor


def _emu3() -> Made:
    named = {
        "image_token": "<image>",
        "boi_token": "<|image start|>",
        "eoi_token": "<|image end|>",
        "image_wrapper_token": "<|image token|>",
        "eof_token": "<|extra_201|>",
    }
    seen = [f"<|visual token {at:06d}|>" for at in range(16)]
    template = templates.LLAVA.replace("<image>\\\\n", "<image>")
    text = tokenizer(
        (*LLAMA, "<|extra_200|>", *named.values(), *seen),
        bos="<s>",
        eos="</s>",
        pad="<pad>",
        named=named,
        template=template,
    )
    processor = hf.Emu3Processor(
        image_processor=hf.Emu3ImageProcessor(
            spatial_factor=8, min_pixels=16 * 16, max_pixels=32 * 32
        ),
        tokenizer=text,
        chat_template=template,
    )
    config = hf.Emu3Config(
        vq_config={
            "codebook_size": 16,
            "embed_dim": 4,
            "latent_channels": 4,
            "base_channels": 32,
            "channel_multiplier": [1, 1, 1, 1],
            "num_res_blocks": 1,
            "attn_resolutions": [],
            "hidden_size": HIDDEN,
        },
        text_config={
            k: v
            for k, v in decoder(text, "emu3_text_model", attention_dropout=0.0).items()
            if k != "head_dim"
        },
        vocabulary_map=text.get_vocab(),
    )
    return config, processor


RECIPES = {
    "dots3_note": Recipe(make=_dots3_note, rewinds=False),
    "emu3": Recipe(make=_emu3),
}
