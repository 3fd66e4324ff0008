"""DeepSeek's line: DeepSeek-VL and Janus."""

import transformers as hf

from . import templates
from .parts import Made, llama_text
from .recipe import HEADS, HIDDEN, LAYERS, Recipe, decoder, square, vision


def _deepseek_vl() -> Made:
    text = llama_text()
    processor = hf.DeepseekVLProcessor(
        image_processor=hf.DeepseekVLImageProcessorPil(size=square(16)),
        tokenizer=text,
        chat_template=templates.LLAVA,
        num_image_tokens=16,
    )
    config = hf.DeepseekVLConfig(
        vision_config=vision("siglip_vision_model", image_size=16, patch_size=4),
        text_config=decoder(text, "llama"),
        image_token_id=text.convert_tokens_to_ids("<image>"),
    )
    return config, processor


def _janus() -> Made:
    text = llama_text(boi_token="<begin_of_image>", eoi_token="<end_of_image>")
    processor = hf.JanusProcessor(
        image_processor=hf.JanusImageProcessorPil(size=square(16), min_size=8),
        tokenizer=text,
        chat_template=templates.LLAVA,
        num_image_tokens=16,
    )
    config = hf.JanusConfig(
        vision_config={
            "hidden_size": HIDDEN,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "image_size": 16,
            "patch_size": 4,
            "mlp_ratio": 2.0,
            "projection_dim": HIDDEN,
            "num_image_tokens": 16,
        },
        vq_config={
            "embed_dim": 8,
            "num_embeddings": 16,
            "latent_channels": 8,
            "base_channels": 32,
            "channel_multiplier": [1, 1],
            "num_res_blocks": 1,
            "num_patches": 4,
            "projection_dim": HIDDEN,
            "image_token_embed_dim": HIDDEN,
        },
        text_config=decoder(text, "llama"),
        image_token_id=text.convert_tokens_to_ids("<image>"),
    )
    return config, processor


RECIPES = {
    "deepseek_vl": Recipe(make=_deepseek_vl, seed=1),
    "janus": Recipe(make=_janus),
}
