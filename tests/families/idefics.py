"""The IDEFICS line (cross-attention first, then resamplers and tiles) and Llama 3.2 Vision."""

from transformers import (
    Idefics2Config,
    Idefics2ImageProcessorPil,
    Idefics2Processor,
    Idefics3Config,
    Idefics3ImageProcessorPil,
    Idefics3Processor,
    IdeficsConfig,
    IdeficsImageProcessorPil,
    IdeficsProcessor,
    MllamaConfig,
    MllamaImageProcessorPil,
    MllamaProcessor,
    PreTrainedConfig,
    ProcessorMixin,
)

from . import templates
from .recipe import HEADS, HIDDEN, LAYERS, Recipe, decoder, square, vision
from .text import tokenizer


def _idefics() -> tuple[PreTrainedConfig, ProcessorMixin]:
    text = tokenizer(
        ("<unk>", "<s>", "</s>", "<fake_token_around_image>", "<image>", "<end_of_utterance>"),
        bos="<s>",
        eos="</s>",
        pad="<unk>",
    )
    processor = IdeficsProcessor(
        image_processor=IdeficsImageProcessorPil(image_size=16), tokenizer=text
    )
    config = IdeficsConfig(
        **{
            k: v
            for k, v in decoder(text, "idefics").items()
            if k not in {"model_type", "num_key_value_heads", "head_dim"}
        },
        additional_vocab_size=0,
        cross_layer_interval=1,
        alpha_initializer="ones",
        use_resampler=True,
        vision_config={
            "embed_dim": HIDDEN,
            "image_size": 16,
            "intermediate_size": 2 * HIDDEN,
            "patch_size": 8,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
        },
        perceiver_config={
            "use_resampler": True,
            "resampler_n_latents": 4,
            "resampler_depth": 1,
            "resampler_n_heads": HEADS,
            "resampler_head_dim": 8,
        },
    )
    return config, processor


def _idefics2() -> tuple[PreTrainedConfig, ProcessorMixin]:
    text = tokenizer(
        ("<unk>", "<s>", "</s>", "<fake_token_around_image>", "<image>", "<end_of_utterance>"),
        bos="<s>",
        eos="<end_of_utterance>",
        pad="<unk>",
        add_bos=True,
        template=templates.IDEFICS2,
    )
    processor = Idefics2Processor(
        image_processor=Idefics2ImageProcessorPil(
            size={"shortest_edge": 12, "longest_edge": 32}, do_image_splitting=False
        ),
        tokenizer=text,
        image_seq_len=4,
        chat_template=templates.IDEFICS2,
    )
    config = Idefics2Config(
        vision_config=vision("idefics2_vision", image_size=32, patch_size=4),
        perceiver_config={
            "hidden_size": HIDDEN,
            "resampler_n_latents": 4,
            "resampler_depth": 1,
            "resampler_n_heads": HEADS,
            "resampler_head_dim": 8,
            "num_key_value_heads": 2,
        },
        text_config=decoder(text, "mistral", sliding_window=None),
        image_token_id=text.convert_tokens_to_ids("<image>"),
    )
    return config, processor


def _idefics3() -> tuple[PreTrainedConfig, ProcessorMixin]:
    text = tokenizer(
        (
            "<|begin_of_text|>",
            "<|end_of_text|>",
            "<|finetune_right_pad_id|>",
            "<fake_token_around_image>",
            "<image>",
            "<end_of_utterance>",
            "<global-img>",
            *(f"<row_{i}_col_{j}>" for i in range(1, 7) for j in range(1, 7)),
        ),
        bos="<|begin_of_text|>",
        eos="<end_of_utterance>",
        pad="<|finetune_right_pad_id|>",
        template=templates.IDEFICS3,
    )
    processor = Idefics3Processor(
        image_processor=Idefics3ImageProcessorPil(
            size={"longest_edge": 32}, max_image_size={"longest_edge": 16}
        ),
        tokenizer=text,
        image_seq_len=4,
        chat_template=templates.IDEFICS3,
    )
    config = Idefics3Config(
        vision_config=vision("idefics3_vision", image_size=16, patch_size=4),
        text_config=decoder(text, "llama"),
        image_token_id=text.convert_tokens_to_ids("<image>"),
        scale_factor=2,
    )
    return config, processor


def _mllama() -> tuple[PreTrainedConfig, ProcessorMixin]:
    specials = (
        "<|begin_of_text|>",
        "<|end_of_text|>",
        "<|finetune_right_pad_id|>",
        "<|start_header_id|>",
        "<|end_header_id|>",
        "<|eot_id|>",
        "<|python_tag|>",
    )
    text = tokenizer(
        specials,
        bos="<|begin_of_text|>",
        eos="<|eot_id|>",
        pad="<|finetune_right_pad_id|>",
        named={"image_token": "<|image|>"},
        template=templates.MLLAMA,
    )
    processor = MllamaProcessor(
        image_processor=MllamaImageProcessorPil(size=square(16), max_image_tiles=4),
        tokenizer=text,
        chat_template=templates.MLLAMA,
    )
    # As in real checkpoints, the placeholder lies just outside the vocabulary: the embeddings have
    # eight rows more than there are logits.
    config = MllamaConfig(
        vision_config={
            "hidden_size": HIDDEN,
            "intermediate_size": 2 * HIDDEN,
            "num_hidden_layers": LAYERS,
            "num_global_layers": 1,
            "attention_heads": HEADS,
            "image_size": 16,
            "patch_size": 8,
            "max_num_tiles": 4,
            "intermediate_layers_indices": [0],
            "vision_output_dim": 2 * HIDDEN,
            "supported_aspect_ratios": [[a, b] for a in range(1, 5) for b in range(1, 5 // a + 1)],
        },
        text_config=decoder(
            text,
            "mllama_text_model",
            vocab_size=len(text) - 1,
            num_hidden_layers=3,
            cross_attention_layers=[1],
        ),
        image_token_index=text.convert_tokens_to_ids("<|image|>"),
    )
    return config, processor


RECIPES = {
    "idefics": Recipe(make=_idefics, prompt=lambda words, pictures: f"User: {words}\nAssistant:"),
    "idefics2": Recipe(make=_idefics2),
    "idefics3": Recipe(make=_idefics3),
    # Tokens before the first picture attend to every picture slot, and a row with fewer pictures
    # than its neighbours has empty ones.
    "mllama": Recipe(make=_mllama, mixed_batches=False, rewinds=False, tools=True, seed=1),
}
