"""A model in a state that cannot be guided is one clear error, when wrapped and at each request."""

import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from packaging.version import Version
from transformers import (
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaForConditionalGeneration,
    PreTrainedModel,
    SynthIDTextWatermarkingConfig,
    WatermarkingConfig,
    pipeline,
)

from guardrail import ChatSafeCoDe, SafeCoDe
from guardrail.backends.transformers.suitability import check_state
from guardrail.errors import GuardrailError, ModelError, SettingsError
from guardrail.request.settings import GenerationSettings
from tests.backends.loaded import answers_as_generate, generated
from tests.contract.guarded import GREEDY, SAMPLED, ask, policy
from tests.families import FAMILIES, build

SETTINGS = [pytest.param(GREEDY, id="greedy"), pytest.param(SAMPLED, id="sampled")]
UNGUIDABLE: dict[str, tuple[dict[str, Any], str]] = {
    "num_beams": ({"num_beams": 2}, r"beam search \(num_beams=2\).*num_beams = 1"),
    "num_return_sequences": ({"num_return_sequences": 2}, "several answers"),
    "penalty_alpha": ({"penalty_alpha": 0.6, "top_k": 4}, "contrastive search"),
    "dola_layers": ({"dola_layers": "high"}, "contrasting layers"),
    "constraints": ({"constraints": [object()]}, "constrained beam search"),
    "force_words_ids": ({"force_words_ids": [[5]]}, "constrained beam search"),
    "prompt_lookup": ({"prompt_lookup_num_tokens": 3}, "prompt look-up"),
    "early_exit": ({"assistant_early_exit": 1}, "assisted decoding"),
    "use_mtp": ({"use_mtp": True}, "assisted decoding"),
    "guidance_scale": ({"guidance_scale": 1.5}, "classifier-free guidance.*guidance_scale = 1"),
    "token_healing": ({"token_healing": True}, "end of the prompt"),
    "quantized cache": ({"cache_implementation": "quantized"}, "rounded keys and values"),
    "synthid": (
        {"watermarking_config": SynthIDTextWatermarkingConfig(keys=[1, 2, 3], ngram_len=3)},
        "watermark that keeps state",
    ),
}
SAME_TOKENS: dict[str, dict[str, Any]] = {
    "no cache": {"use_cache": False},
    "static cache": {"cache_implementation": "static"},
    "static cache of a length": {"cache_implementation": "static", "max_cache_len": 400},
    "sliding-window cache": {"cache_implementation": "sliding_window"},
    "dynamic cache": {"cache_implementation": "dynamic"},
    "paged cache": {"cache_implementation": "paged"},
    "chunked prefill": {"prefill_chunk_size": 4},
    "more outputs": {
        "return_dict_in_generate": True,
        "output_scores": True,
        "output_hidden_states": True,
    },
    "watermark": {"watermarking_config": WatermarkingConfig()},
    "penalties": {"repetition_penalty": 1.3, "no_repeat_ngram_size": 2, "min_new_tokens": 5},
    "biases": {"sequence_bias": [[[40], 3.0]], "bad_words_ids": [[50]], "renormalize_logits": True},
    "a time": {"max_time": 100.0},
    "one beam": {"num_beams": 1, "num_return_sequences": 1, "guidance_scale": 1.0},
}
"""What a model's generation config may hold, and the answer is still `generate()`'s."""

if Version(transformers.__version__) < Version("5.23"):
    # In chunks, `generate()` gives other tokens there than it does for the whole prompt.
    del SAME_TOKENS["chunked prefill"]


@pytest.fixture(autouse=True)
def _random_models_are_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guardrail.backends.transformers.labels.READABLE_MASS", 0.0)


def fresh(family: str = "llava", **generation: Any) -> tuple[Any, Any]:
    """A model of the test's own, with that in its generation config."""
    model, processor = build(family)
    model = copy.deepcopy(model)
    for name, value in generation.items():
        setattr(model.generation_config, name, value)
    return model, processor


def wrapped(model: Any, processor: Any) -> SafeCoDe:
    return SafeCoDe(model=model, processor=processor, policy=policy())


def one_clear_line(error: pytest.ExceptionInfo[GuardrailError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert text[0].islower() or text[0] == "'"
    return text


# What the generation config asks for ------------------------------------------------------------


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("generation", SAME_TOKENS.values(), ids=SAME_TOKENS)
def test_how_tokens_are_computed_is_the_model_s_own_matter(
    generation: dict[str, Any], settings: GenerationSettings
) -> None:
    model, processor = fresh(**generation)
    before = model.generation_config.to_dict()
    answers_as_generate(wrapped(model, processor), settings)
    assert model.generation_config.to_dict() == before


@pytest.mark.parametrize("family", ["qwen2_5_vl", "gemma3", "blip-2", "mllama", "git"])
@pytest.mark.parametrize("generation", [SAME_TOKENS["no cache"], SAME_TOKENS["static cache"]])
def test_other_families_run_on_a_cache_of_ours(family: str, generation: dict[str, Any]) -> None:
    plain, processor = build(family)
    model, _ = fresh(family, **generation)
    # A static cache is not for every family's own `generate()`; the tokens are those without it.
    answers_as_generate(wrapped(model, processor), GREEDY, family=family, reference=plain)


@pytest.mark.parametrize("cache", ["offloaded", "offloaded_static"])
def test_offloaded_caches_are_left_out(cache: str) -> None:
    model, processor = fresh(cache_implementation=cache)  # `generate()` itself wants a GPU here
    answers_as_generate(wrapped(model, processor), GREEDY, reference=build("llava")[0])


@pytest.mark.parametrize(("generation", "why"), UNGUIDABLE.values(), ids=UNGUIDABLE)
def test_what_cannot_be_guided_is_said_when_wrapped(generation: dict[str, Any], why: str) -> None:
    model, processor = fresh(**generation)
    with pytest.raises(ModelError, match=why) as caught:
        wrapped(model, processor)
    remedy = one_clear_line(caught).rsplit("set ", 1)[1]
    exec(remedy, {"model": model})
    wrapped(model, processor)


@pytest.mark.parametrize(("generation", "why"), UNGUIDABLE.values(), ids=UNGUIDABLE)
def test_what_cannot_be_guided_is_said_of_a_caller_s_settings(
    generation: dict[str, Any], why: str
) -> None:
    words = why.split(r" \(")[0].split(".*")[0]
    with pytest.raises(SettingsError, match=words) as caught:
        GenerationSettings(extra=generation)
    one_clear_line(caught)


def test_a_caller_s_whole_generation_config_is_looked_into() -> None:
    with pytest.raises(SettingsError, match="num_beams=3 asks for beam search"):
        GenerationSettings(extra={"generation_config": GenerationConfig(num_beams=3)})
    GenerationSettings(extra={"generation_config": GenerationConfig(num_beams=1)})


@pytest.mark.parametrize("extra", [{"use_cache": False}, {"cache_implementation": "static"}])
def test_a_caller_s_cache_settings_change_nothing(extra: dict[str, Any]) -> None:
    settings = GenerationSettings(max_new_tokens=6, temperature=0, extra=extra)
    answers_as_generate(wrapped(*build("llava")), settings)


def test_an_inner_model_s_generation_config_counts() -> None:
    model, processor = fresh("blip-2")
    model.language_model.generation_config.num_beams = 2
    with pytest.raises(ModelError, match=r"model\.language_model\.generation_config\.num_beams"):
        wrapped(model, processor)


def test_stop_strings_of_the_generation_config_end_the_answer() -> None:
    model, processor = fresh()
    plain = wrapped(model, processor).answer(ask("llava"), GREEDY, mode="off")
    word = plain.text[2]
    model, _ = fresh(stop_strings=word)
    guarded = wrapped(model, processor)
    expected = generated(guarded, ask("llava"), GREEDY, tokenizer=processor.tokenizer)
    assert len(expected) < len(plain.token_ids)
    for mode in ("off", "shadow"):
        answer = guarded.answer(ask("llava"), GREEDY, mode=mode)
        assert list(answer.token_ids) == expected
        assert answer.text == plain.text[: plain.text.index(word)]
    own = GenerationSettings(max_new_tokens=6, temperature=0, stop=("no such words",))
    assert guarded.answer(ask("llava"), own, mode="off").token_ids == plain.token_ids


@pytest.mark.parametrize("generation", [SAME_TOKENS["more outputs"], {"stop_strings": ["zq"]}])
def test_a_caption_is_read_whatever_generate_returns(generation: dict[str, Any]) -> None:
    model, processor = fresh(**generation)
    captioning = policy({"judge": {"kind": "caption"}})
    guarded = SafeCoDe(model=model, processor=processor, policy=captioning)
    assert guarded.answer(ask("llava"), GREEDY).decision.errors == []


def test_a_generation_config_may_change_after_wrapping() -> None:
    model, processor = fresh()
    guarded = wrapped(model, processor)
    model.generation_config.num_beams = 4
    with pytest.raises(ModelError, match="num_beams=4"):
        guarded.answer(ask("llava"), GREEDY)
    model.generation_config.num_beams = None
    answers_as_generate(guarded, GREEDY)


def test_no_generation_config_is_said() -> None:
    model, processor = fresh()
    model.generation_config = None
    with pytest.raises(ModelError, match=r"generation config of this Llava.* is None") as caught:
        wrapped(model, processor)
    remedy = one_clear_line(caught).rsplit("set ", 1)[1]
    exec(remedy, {"model": model, "GenerationConfig": GenerationConfig})
    wrapped(model, processor)


# The state the model is in ----------------------------------------------------------------------


def _train(model: PreTrainedModel) -> None:
    model.train()


def _train_with_checkpointing(model: PreTrainedModel) -> None:
    newer = getattr(model, "activation_checkpointing_enable", None)
    (newer or model.gradient_checkpointing_enable)()
    model.train()


def _train_a_part(model: PreTrainedModel) -> None:
    model.model.language_model.layers[1].train()


@pytest.mark.parametrize("switch", [_train, _train_with_checkpointing, _train_a_part])
def test_train_mode_is_said_when_wrapped_and_at_each_request(
    switch: Callable[[PreTrainedModel], None],
) -> None:
    model, processor = fresh()
    guarded = wrapped(model, processor)
    switch(model)
    with pytest.raises(ModelError, match=r"train mode.*call model\.eval\(\)") as caught:
        wrapped(model, processor)
    one_clear_line(caught)
    for mode in ("off", "shadow", "enforce"):
        with pytest.raises(ModelError, match="train mode"):
            guarded.answer(ask("llava"), GREEDY, mode=mode)
        with pytest.raises(ModelError, match="train mode"):
            list(guarded.stream(ask("llava"), GREEDY, mode=mode))
        with pytest.raises(ModelError, match="train mode"):
            guarded.batch([ask("llava")] * 2, GREEDY, mode=mode)
    assert model.training == (switch is not _train_a_part)
    model.eval()
    answers_as_generate(guarded, GREEDY)  # checkpointing that is on and idle does no harm


def test_a_decision_is_unavailable_in_train_mode() -> None:
    model, processor = fresh()
    guarded = wrapped(model, processor)
    model.train()
    judgement = guarded.decide(ask("llava"))
    assert judgement.decision.verdict.label == "unavailable"
    assert judgement.decision.action == "block"


def test_weights_without_values_are_said() -> None:
    model, processor = build("llava")
    with torch.device("meta"):
        empty = LlavaForConditionalGeneration(model.config).eval()
    with pytest.raises(ModelError, match="on the meta device and has no values") as caught:
        wrapped(empty, processor)
    one_clear_line(caught)


@pytest.mark.parametrize("family", FAMILIES)
def test_families_pass_as_they_are_loaded(family: str) -> None:
    check_state(build(family)[0])


def test_the_state_is_checked_in_no_time() -> None:
    model, _ = build("llava")
    count = sum(1 for _ in model.modules())
    started = time.perf_counter()
    for _ in range(10):
        check_state(model)
    assert (time.perf_counter() - started) / 10 / count < 50e-6  # seconds per module


# What was given as the model --------------------------------------------------------------------


def _text_only() -> Any:
    config = LlamaConfig(
        hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
    )
    return LlamaForCausalLM(config).eval()


NO_MODELS: dict[str, tuple[Callable[[Any, Any], tuple[Any, Any]], str]] = {
    "swapped": (lambda m, p: (p, m), "model and processor swapped"),
    "a path": (lambda m, p: ("/models/llava", p), "from_pretrained"),
    "a folder": (lambda m, p: (Path("/models/llava"), p), "from_pretrained"),
    "nothing": (lambda m, p: (None, p), "model is a NoneType"),
    "a tokenizer as the model": (lambda m, p: (p.tokenizer, p), "swapped"),
    "parallel": (lambda m, p: (torch.nn.DataParallel(m), p), r"pass model\.module"),
    "without its head": (lambda m, p: (m.model, p), "no language head"),
    "text only": (lambda m, p: (_text_only(), p), "'llama' is no multimodal LLM"),
    "a pipeline": (
        lambda m, p: (pipeline("image-text-to-text", model=m, processor=p), p),
        r"pass model=pipeline\.model",
    ),
    "a tokenizer as the processor": (lambda m, p: (m, p.tokenizer), "AutoProcessor"),
    "pictures only": (lambda m, p: (m, p.image_processor), "CLIPImageProcessor.* AutoProcessor"),
    "no processor": (lambda m, p: (m, None), "processor is a NoneType"),
}


@pytest.mark.parametrize(("give", "why"), NO_MODELS.values(), ids=NO_MODELS)
def test_what_is_no_model_is_said(give: Callable[[Any, Any], tuple[Any, Any]], why: str) -> None:
    with pytest.raises(ModelError, match=why) as caught:
        wrapped(*give(*build("llava")))
    one_clear_line(caught)


@pytest.mark.parametrize("name", ["swapped", "parallel", "a pipeline", "pictures only"])
def test_the_chat_model_says_so_too(name: str) -> None:
    give, why = NO_MODELS[name]
    model, processor = give(*build("llava"))
    with pytest.raises(ModelError, match=why):
        ChatSafeCoDe(model=model, processor=processor, policy=policy())
