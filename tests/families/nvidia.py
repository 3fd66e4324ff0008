"""NVIDIA's line: Cosmos 3 Edge, and Nemotron H, whose decoder is mostly Mamba."""

import transformers as hf

from . import templates
from .parts import CHATML, Made
from .qwen import picture_ids, qwen_text
from .recipe import HEADS, HIDDEN, Recipe, decoder, vision
from .text import tokenizer


def _cosmos3_edge() -> Made:
    template = templates.QWEN_VL
    text = qwen_text(template)
    processor = hf.Cosmos3EdgeProcessor(
        image_processor=hf.Cosmos3EdgeImageProcessorPil(
            patch_size=4, size={"shortest_edge": 16 * 16, "longest_edge": 32 * 32}
        ),
        tokenizer=text,
        video_processor=None,
        chat_template=template,
    )
    config = hf.Cosmos3EdgeConfig(
        vision_config=vision("cosmos3_edge_vision", image_size=32, patch_size=4, num_patches=16),
        text_config=decoder(
            text,
            "cosmos3_edge_text",
            rope_parameters={
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [2, 1, 1],
            },
        ),
        projector_hidden_size=HIDDEN,
        **picture_ids(text),
    )
    return config, processor


def _nemotron() -> Made:
    template = templates.chatml("{{ '<image>\\n' }}")
    text = tokenizer(
        (
            *CHATML,
            "<image>",
            "<video>",
            "<so_embedding>",
            "<so_start>",
            "<so_end>",
            "<img>",
            "</img>",
        ),
        eos="<|im_end|>",
        pad="<|endoftext|>",
        template=template,
    )
    processor = hf.NemotronH_Omni_Reasoning_V3Processor(
        image_processor=hf.NemotronH_Omni_Reasoning_V3ImageProcessor(
            patch_size=4, min_num_patches=16, max_num_patches=32, max_model_len=256
        ),
        video_processor=None,
        feature_extractor=None,
        tokenizer=text,
        chat_template=template,
    )
    ids = text.convert_tokens_to_ids
    config = hf.NemotronH_Omni_Reasoning_V3_Config(
        vision_config=vision(
            "radio",
            image_size=16,
            patch_size=4,
            mlp_ratio=2.0,
            max_img_size=64,
            num_cls_tokens=1,
            num_registers=1,
            patch_dim=48,
            video_temporal_patch_size=2,
        ),
        text_config=decoder(
            text,
            "nemotron_h",
            layers_block_type=["linear_attention", "moe", "full_attention", "mlp"],
            ssm_state_size=8,
            mamba_num_heads=HEADS,
            mamba_head_dim=16,
            n_groups=2,
            chunk_size=8,
            n_routed_experts=4,
            moe_intermediate_size=HIDDEN,
            moe_shared_expert_intermediate_size=HIDDEN,
        ),
        projector_hidden_size=HIDDEN,
        vision_hidden_size=HIDDEN,
        image_token_id=ids("<image>"),
        video_token_id=ids("<video>"),
        audio_token_id=ids("<so_embedding>"),
    )
    return config, processor


RECIPES = {
    # On older ones its cached steps are not what a full forward says: the self-check refuses it.
    "cosmos3_edge": Recipe(
        make=_cosmos3_edge, asks={"return_mm_token_type_ids": True}, since="5.23"
    ),
    "nemotron_h_omni": Recipe(make=_nemotron, rewinds=False, needs=("torchvision",)),
}
