"""Captioning models turned to dialogue: BLIP-2, InstructBLIP, GIT and KOSMOS-2."""

from transformers import (
    Blip2Config,
    Blip2Processor,
    BlipImageProcessorPil,
    CLIPImageProcessorPil,
    GitConfig,
    GitProcessor,
    InstructBlipConfig,
    InstructBlipProcessor,
    Kosmos2Config,
    Kosmos2Processor,
    PreTrainedConfig,
    ProcessorMixin,
)

from .recipe import HEADS, HIDDEN, LAYERS, Recipe, decoder, square, vision
from .text import tokenizer

_QUERIES = 4


def _qformer(vocabulary: int) -> dict[str, object]:
    return {
        "vocab_size": vocabulary,
        "hidden_size": HIDDEN,
        "intermediate_size": 2 * HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "encoder_hidden_size": HIDDEN,
        "cross_attention_frequency": 1,
    }


def _blip_2() -> tuple[PreTrainedConfig, ProcessorMixin]:
    text = tokenizer(
        ("<s>", "<pad>", "</s>", "<unk>", "<image>"),
        bos="</s>",
        eos="</s>",
        pad="<pad>",
        add_bos=True,
    )
    processor = Blip2Processor(
        image_processor=BlipImageProcessorPil(size=square(16)),
        tokenizer=text,
        num_query_tokens=_QUERIES,
    )
    config = Blip2Config(
        vision_config=vision("blip_2_vision_model", image_size=16, patch_size=8),
        qformer_config=_qformer(len(text)),
        text_config={
            "model_type": "opt",
            "vocab_size": len(text),
            "hidden_size": HIDDEN,
            "word_embed_proj_dim": HIDDEN,
            "ffn_dim": 2 * HIDDEN,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "max_position_embeddings": 1024,
            "bos_token_id": text.bos_token_id,
            "eos_token_id": text.eos_token_id,
            "pad_token_id": text.pad_token_id,
        },
        num_query_tokens=_QUERIES,
        image_token_index=text.convert_tokens_to_ids("<image>"),
    )
    return config, processor


def _instructblip() -> tuple[PreTrainedConfig, ProcessorMixin]:
    text = tokenizer(
        ("<unk>", "<s>", "</s>", "<pad>", "<image>"),
        bos="<s>",
        eos="</s>",
        pad="<pad>",
        add_bos=True,
    )
    bert = tokenizer(
        ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[DEC]"),
        bos="[DEC]",
        eos="[SEP]",
        pad="[PAD]",
        padding_side="right",
    )
    processor = InstructBlipProcessor(
        image_processor=BlipImageProcessorPil(size=square(16)),
        tokenizer=text,
        qformer_tokenizer=bert,
        num_query_tokens=_QUERIES,
    )
    config = InstructBlipConfig(
        vision_config=vision("instructblip_vision_model", image_size=16, patch_size=8),
        qformer_config=_qformer(len(bert)),
        text_config=decoder(text, "llama"),
        num_query_tokens=_QUERIES,
        image_token_index=text.convert_tokens_to_ids("<image>"),
    )
    return config, processor


def _git() -> tuple[PreTrainedConfig, ProcessorMixin]:
    text = tokenizer(
        ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
        bos="[CLS]",
        eos="[SEP]",
        pad="[PAD]",
        add_bos=True,
    )
    processor = GitProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=square(16)),
        tokenizer=text,
    )
    config = GitConfig(
        vision_config=vision("git_vision_model", image_size=16, patch_size=8),
        **{
            k: v
            for k, v in decoder(text, "git").items()
            if k not in {"model_type", "num_key_value_heads", "head_dim"}
        },
    )
    return config, processor


def _kosmos_2() -> tuple[PreTrainedConfig, ProcessorMixin]:
    text = tokenizer(
        ("<s>", "<pad>", "</s>", "<unk>", "<image>", "</image>", "<grounding>"),
        bos="<s>",
        eos="</s>",
        pad="<pad>",
        unk="<unk>",
        add_bos=True,
    )
    processor = Kosmos2Processor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=square(16)),
        tokenizer=text,
        num_patch_index_tokens=16,
    )
    config = Kosmos2Config(
        vision_config=vision("kosmos_2_vision_model", image_size=16, patch_size=8),
        text_config={
            "vocab_size": len(text),
            "embed_dim": HIDDEN,
            "layers": LAYERS,
            "ffn_dim": 2 * HIDDEN,
            "attention_heads": HEADS,
            "max_position_embeddings": 1024,
            "bos_token_id": text.bos_token_id,
            "eos_token_id": text.eos_token_id,
            "pad_token_id": text.pad_token_id,
        },
        latent_query_num=64,
    )
    return config, processor


def _blip_2_t5() -> tuple[PreTrainedConfig, ProcessorMixin]:
    text = tokenizer(("<pad>", "</s>", "<unk>", "<image>"), eos="</s>", pad="<pad>")
    processor = Blip2Processor(
        image_processor=BlipImageProcessorPil(size=square(16)),
        tokenizer=text,
        num_query_tokens=_QUERIES,
    )
    config = Blip2Config(
        vision_config=vision("blip_2_vision_model", image_size=16, patch_size=8),
        qformer_config=_qformer(len(text)),
        text_config={
            "model_type": "t5",
            "vocab_size": len(text),
            "d_model": HIDDEN,
            "d_kv": HIDDEN // HEADS,
            "d_ff": 2 * HIDDEN,
            "num_layers": LAYERS,
            "num_heads": HEADS,
            "eos_token_id": text.eos_token_id,
            "pad_token_id": text.pad_token_id,
            "decoder_start_token_id": text.pad_token_id,
        },
        num_query_tokens=_QUERIES,
        image_token_index=text.convert_tokens_to_ids("<image>"),
    )
    return config, processor


RECIPES = {
    # All but GIT insist on a picture. InstructBLIP's processor pads the Q-Former's text on the left
    # with the language model's, so that its absolute positions move with the padding. KOSMOS-2
    # counts padding as positions in cached steps.
    "blip-2": Recipe(
        make=_blip_2,
        prefix="whole",
        rewinds=False,
        prompt=lambda words, pictures: f"Question: {words} Answer:",
        most_pictures=1,
        text_only=False,
    ),
    "instructblip": Recipe(
        make=_instructblip,
        prompt=lambda words, pictures: words,
        prefix="whole",
        rewinds=False,
        most_pictures=1,
        text_only=False,
        padded_batches=False,
    ),
    # GIT's prompt ends with the user's own words, so that nothing tells where a question begins.
    "git": Recipe(make=_git, prompt=lambda words, pictures: words, most_pictures=1, prefix="apart"),
    "kosmos-2": Recipe(
        make=_kosmos_2,
        prompt=lambda words, pictures: f"<grounding> Question: {words} Answer:",
        most_pictures=1,
        text_only=False,
        padded_batches=False,
    ),
    "blip-2-t5": Recipe(
        model_type="blip-2",
        make=_blip_2_t5,
        prompt=lambda words, pictures: f"Question: {words} Answer:",
        most_pictures=1,
        text_only=False,
        decoder_only=False,
    ),
}
