"""Fuyu: no tower, patches straight into the decoder, and a processor that writes their tokens."""

import functools

import transformers as hf
from tokenizers import Tokenizer, decoders, models, normalizers
from transformers import PreTrainedTokenizerFast

from .parts import Made
from .recipe import Recipe, decoder
from .text import CORPUS

_PIECES = ("|ENDOFTEXT|", "<unk>", "|SPEAKER|", "|NEWLINE|")


@functools.cache
def _pieces() -> str:
    """A SentencePiece-like tokenizer, serialised: control strings and bytes are plain pieces."""
    shape = Tokenizer(models.Unigram())
    shape.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    # Taken from the texts and not trained on them: a trainer's pieces differ from run to run.
    words = sorted({f"▁{word}" for line in CORPUS for word in line.split()})
    letters = sorted({"▁", *(letter for line in CORPUS for letter in line if letter != " ")})
    learnt = [*((word, -2.0) for word in words), *((letter, -6.0) for letter in letters)]
    known = [(piece, 0.0) for piece in (*_PIECES, *(f"<0x{n:02X}>" for n in range(256)))]
    known += [(f"▁{word}", 0.0) for word in ("Yes", "No", "yes", "no")]
    known += [each for each in learnt if each[0] not in dict(known)]
    shape.model = models.Unigram(known, _PIECES.index("<unk>"), True)
    shape.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return str(shape.to_str())


def _fuyu() -> Made:
    text = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_pieces()),
        bos_token="<s>",
        eos_token="|ENDOFTEXT|",
        pad_token="|ENDOFTEXT|",
        unk_token="<unk>",
        padding_side="left",
        model_max_length=4096,
    )
    processor = hf.FuyuProcessor(
        image_processor=hf.FuyuImageProcessor(
            size={"height": 24, "width": 32}, patch_size={"height": 8, "width": 8}
        ),
        tokenizer=text,
    )
    config = hf.FuyuConfig(
        text_config={
            k: v
            for k, v in decoder(text, "persimmon").items()
            if k not in {"num_key_value_heads", "head_dim"}
        },
        patch_size=8,
        image_size=32,
        image_token_id=text.convert_tokens_to_ids("|SPEAKER|"),
    )
    return config, processor


RECIPES = {
    "fuyu": Recipe(
        make=_fuyu,
        prompt=lambda words, pictures: words,
        most_pictures=1,
        prefix="apart",
        needs=("torchvision",),  # without it, its image processor calls NumPy's methods on tensors
        padded_batches=False,
        asks={"return_legacy_image_output": False},
    ),
}
