"""IBM's line: Granite Vision, which reads pictures through Q-Formers, and Granite Docling."""

import transformers as hf

from . import templates
from .parts import TILES, Made
from .recipe import HEADS, HIDDEN, Recipe, decoder, square, vision
from .text import tokenizer

_TOKENS = ("<|pad|>", "<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>", "<image>")
_SCALES = {"embedding_multiplier": 1.0, "logits_scaling": 1.0, "attention_multiplier": 0.35}


def _granite4_vision() -> Made:
    text = tokenizer(
        _TOKENS,
        bos="<|end_of_text|>",
        eos="<|end_of_text|>",
        pad="<|pad|>",
        named={"image_token": "<image>"},
        template=templates.GRANITE,
    )
    processor = hf.Granite4VisionProcessor(
        image_processor=hf.LlavaNextImageProcessorPil(
            size={"shortest_edge": 16}, crop_size=square(16), image_grid_pinpoints=TILES
        ),
        tokenizer=text,
        patch_size=4,
        vision_feature_select_strategy="full",
        num_additional_image_tokens=0,
        downsample_rate="1/2",
        chat_template=templates.GRANITE,
    )
    config = hf.Granite4VisionConfig(
        vision_config=vision(
            "siglip_vision_model",
            image_size=16,
            patch_size=4,
            vision_use_head=False,
            hidden_size=64,
            num_attention_heads=HEADS,
        ),
        text_config=decoder(text, "granite4_vision_text", **_SCALES),
        qformer_config={
            "model_type": "blip_2_qformer",
            "num_hidden_layers": 1,
            "intermediate_size": 2 * HIDDEN,
            "cross_attention_frequency": 1,
            "max_position_embeddings": 64,
            "use_qformer_text_input": False,
        },
        image_token_index=text.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=TILES,
        image_seq_length=4,
        downsample_rate="1/2",
        vision_feature_select_strategy="full",
        vision_feature_layer=-1,
        deepstack_layer_map=[[-1, 0]],
        spatial_target_layers=[0, 0, 1, 1],
    )
    return config, processor


def _granite_docling() -> Made:
    text = tokenizer(
        (
            *_TOKENS,
            "<fake_token_around_image>",
            "<global-img>",
            *(f"<row_{i}_col_{j}>" for i in range(1, 3) for j in range(1, 3)),
        ),
        bos="<|end_of_text|>",
        eos="<|end_of_text|>",
        pad="<|pad|>",
        named={"image_token": "<image>"},
        template=templates.GRANITE,
    )
    processor = hf.GraniteDoclingProcessor(
        image_processor=hf.GraniteDoclingImageProcessorPil(
            size=square(16), min_patches=1, max_patches=2
        ),
        tokenizer=text,
        image_seq_len=4,
        chat_template=templates.GRANITE,
    )
    config = hf.GraniteDoclingConfig(
        vision_config=vision(
            "granite_docling_vision",
            image_size=16,
            patch_size=4,
            out_hidden_size=HIDDEN,
            scale_factor=2,
            deepstack_visual_indexes=[0],
            use_fine_route=False,
        ),
        text_config=decoder(text, "granite_docling_text", residual_multiplier=1.0, **_SCALES),
        image_token_id=text.convert_tokens_to_ids("<image>"),
        pad_token_id=text.pad_token_id,
    )
    return config, processor


RECIPES = {
    "granite4_vision": Recipe(make=_granite4_vision),
    "granite_docling": Recipe(make=_granite_docling, seed=1),
}
