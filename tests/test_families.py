"""The tiny checkpoints are what the other tests take them for."""

from pathlib import Path

import pytest
import torch
import transformers
from transformers import AutoProcessor

from tests.families import (
    FAMILIES,
    NOT_SERVED,
    RECIPES,
    Request,
    build,
    encode,
    last_logits,
    load,
    picture,
    save,
    table,
)
from tests.families.catalogue import TOO_NEW
from tests.families.declined import BROKEN, DECLINED, NOT_BUILDABLE, SOMEWHERE_BROKEN

WORDS = "What is in this image?"
LONGER = "Describe this and say whether it is safe to try at home."
COUNTS = [
    (family, count)
    for family in FAMILIES
    for count in range(0 if RECIPES[family].text_only else 1, RECIPES[family].most_pictures + 1)
]


def request_with(count: int, *, words: str = WORDS, first: int = 0) -> Request:
    return Request(words, tuple(picture(first + i) for i in range(count)))


def first_steps(family: str, requests: list[Request], *, count: int = 2) -> torch.Tensor:
    """Logits of the first `count` greedy steps, `(batch, count, vocab)`, as `generate()` has them.

    Token 40 is forced throughout, so that rows stay comparable.
    """
    model, _ = build(family)
    output = model.generate(
        **encode(family, requests),
        max_new_tokens=count,
        do_sample=False,
        prefix_allowed_tokens_fn=lambda row, ids: [40],
        output_logits=True,
        return_dict_in_generate=True,
    )
    return torch.stack(output.logits, dim=1)


@pytest.mark.parametrize("family", FAMILIES)
def test_built_model_is_float32_and_in_eval_mode(family: str) -> None:
    model, _ = build(family)
    assert not model.training
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert sum(p.numel() for p in model.parameters()) < 500_000


@pytest.mark.parametrize("family", FAMILIES)
def test_build_is_deterministic(family: str) -> None:
    model, _ = build(family)
    again, _ = build.__wrapped__(family)
    for (name, a), b in zip(model.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b), name


@pytest.mark.parametrize(("family", "count"), COUNTS)
def test_generates_from_prompt(family: str, count: int) -> None:
    model, processor = build(family)
    inputs = encode(family, [request_with(count)])
    output = model.generate(**inputs, max_new_tokens=6, min_new_tokens=6, do_sample=False)
    assert output.shape[0] == 1
    answer = output[0, -6:]
    assert len(set(answer.tolist())) > 2
    assert isinstance(processor.batch_decode(answer[None])[0], str)


@pytest.mark.parametrize("family", NOT_SERVED)
def test_encoder_decoder_generates(family: str) -> None:
    model, _ = build(family)
    output = model.generate(**encode(family, [request_with(1)]), max_new_tokens=6, do_sample=False)
    assert output.shape[1] > 1


@pytest.mark.parametrize("family", [f for f in FAMILIES if RECIPES[f].prompt is None])
def test_template_accepts_a_conversation(family: str) -> None:
    _, processor = build(family)
    messages = [
        *request_with(1).messages(),
        {"role": "assistant", "content": [{"type": "text", "text": "A red box."}]},
        {"role": "user", "content": [{"type": "text", "text": "Is it heavy?"}]},
    ]
    text = processor.apply_chat_template(messages, add_generation_prompt=True)
    assert text.index(WORDS) < text.index("A red box.") < text.index("Is it heavy?")


@pytest.mark.parametrize(("family", "count"), [c for c in COUNTS if c[1] > 0])
def test_noise_on_any_picture_moves_the_logits(family: str, count: int) -> None:
    model, _ = build(family)
    inputs = encode(family, [request_with(count)])
    generator = torch.Generator().manual_seed(1)
    # Video-LLaVA tells pictures from videos by name.
    name = "pixel_values" if "pixel_values" in inputs else "pixel_values_images"
    noise = 0.3 * torch.randn(inputs[name].shape, generator=generator)
    clean = last_logits(model, inputs)
    inputs[name] = inputs[name] + noise
    assert (last_logits(model, inputs) - clean).abs().max() > 1e-2


@pytest.mark.parametrize("family", [f for f in FAMILIES if RECIPES[f].padded_batches])
def test_padded_row_equals_the_row_alone(family: str) -> None:
    rows = [request_with(1), request_with(1, words=LONGER, first=3)]
    batch = first_steps(family, rows)
    for i, row in enumerate(rows):
        torch.testing.assert_close(batch[i], first_steps(family, [row])[0], atol=1e-4, rtol=0)


MIXED = [
    f
    for f in FAMILIES
    if RECIPES[f].padded_batches and RECIPES[f].mixed_batches and RECIPES[f].most_pictures > 1
]


@pytest.mark.parametrize("family", MIXED)
def test_rows_with_different_numbers_of_pictures_equal_the_rows_alone(family: str) -> None:
    rows = [request_with(1), request_with(2, words=LONGER, first=3)]
    if RECIPES[family].text_only:
        rows.append(request_with(0, words=LONGER))
    batch = first_steps(family, rows)
    for i, row in enumerate(rows):
        torch.testing.assert_close(batch[i], first_steps(family, [row])[0], atol=1e-4, rtol=0)


@pytest.mark.parametrize("family", [*FAMILIES, *NOT_SERVED])
def test_saved_checkpoint_loads_through_the_auto_classes(family: str, tmp_path: Path) -> None:
    save(family, tmp_path)
    loaded, processor = load(tmp_path)
    model, original = build(family)
    assert type(loaded) is type(model)
    assert type(processor) is type(original)
    assert processor.tokenizer(WORDS).input_ids == original.tokenizer(WORDS).input_ids
    assert getattr(processor, "chat_template", None) == getattr(original, "chat_template", None)
    inputs = encode(family, [request_with(1)], processor=processor)
    output = loaded.generate(**inputs, max_new_tokens=4, do_sample=False)
    assert torch.equal(output, model.generate(**inputs, max_new_tokens=4, do_sample=False))


@pytest.mark.parametrize("family", [*FAMILIES, *NOT_SERVED])
def test_saved_processor_needs_no_special_loader(family: str, tmp_path: Path) -> None:
    parts = set(build(family)[1].get_attributes())
    if parts & {"video_processor", "feature_extractor"}:
        pytest.skip("it has parts for videos or sounds, which want further packages")
    save(family, tmp_path)
    processor = AutoProcessor.from_pretrained(tmp_path)
    assert type(processor) is type(build(family)[1])


@pytest.mark.parametrize(
    "family", ["llava_next", "llava_onevision", "internvl", "aya_vision", "idefics3"]
)
def test_shape_of_picture_decides_its_number_of_tiles(family: str) -> None:
    square = encode(family, [Request(WORDS, (picture(0, (16, 16)),))])
    wide = encode(family, [Request(WORDS, (picture(0, (64, 32)),))])
    assert wide["input_ids"].shape[1] != square["input_ids"].shape[1]


def test_gemma3_prompt_exceeds_its_sliding_window() -> None:
    model, _ = build("gemma3")
    text = model.config.text_config
    assert set(text.layer_types) == {"sliding_attention", "full_attention"}
    assert encode("gemma3", [request_with(1)])["input_ids"].shape[1] > text.sliding_window


def test_qwen3_5_has_linear_and_full_attention() -> None:
    model, _ = build("qwen3_5")
    assert set(model.config.text_config.layer_types) == {"linear_attention", "full_attention"}


def test_mllama_has_a_cross_attention_layer() -> None:
    model, _ = build("mllama")
    assert model.config.text_config.cross_attention_layers == [1]


ITS_VERSION = f"transformers {transformers.__version__} maps" in table.PAGE.read_text("utf-8")
"""Whether the page was written with the transformers that is installed."""


@pytest.mark.skipif(not ITS_VERSION, reason="the page was written with another transformers")
def test_page_of_families_is_what_the_recipes_say() -> None:
    assert table.PAGE.read_text(encoding="utf-8") == table.page(), (
        "docs/families.md is out of date: run `python -m tests.families.table`"
    )


@pytest.mark.parametrize("kind", [each for each in table.TYPES if each not in TOO_NEW])
def test_every_type_of_transformers_has_a_row(kind: str) -> None:
    [row] = [
        each for each in table.PAGE.read_text().splitlines() if each.startswith(f"| `{kind}` ")
    ]
    if ITS_VERSION or kind not in SOMEWHERE_BROKEN:
        assert row.split("|")[2].strip() == table.verdict(kind)


@pytest.mark.skipif(not ITS_VERSION, reason="the page was written with another transformers")
def test_catalogues_hold_no_types_that_transformers_does_not_have() -> None:
    assert {*DECLINED, *BROKEN, *NOT_BUILDABLE} <= {*table.TYPES}
    assert {name for name in RECIPES if name not in table.TYPES} == {"llava-lfm2", "blip-2-t5"}


def test_pictures_of_different_seeds_differ() -> None:
    assert picture(0).tobytes() == picture(0).tobytes()
    assert picture(0).tobytes() != picture(1).tobytes()
    assert picture(0, (40, 30)).size == (40, 30)
