"""The self-check passes what decodes rightly and refuses, in one sentence, what does not."""

import copy
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest import mock

import pytest
import torch
from transformers import DynamicCache
from transformers import __version__ as installed
from transformers.cache_utils import Cache

from guardrail.backends.transformers import self_check
from guardrail.backends.transformers.prompt import to_device
from guardrail.backends.transformers.self_check import (
    SelfCheck,
    check_cached_steps,
    step_difference,
)
from guardrail.errors import ModelError
from tests.contract.guarded import LONGER, TEXT_ONLY, ask, engine
from tests.families import FAMILIES

DTYPES = [torch.float32, torch.float16, torch.bfloat16]


def inputs(family: str, *, count: int = 1) -> dict[str, Any]:
    return engine(family).backend.encoder.encode([ask(family, LONGER, count=count)])


@pytest.mark.parametrize("family", FAMILIES)
def test_family_passes_with_pictures(family: str) -> None:
    check_cached_steps(engine(family).model, inputs(family, count=2))


@pytest.mark.parametrize("family", TEXT_ONLY)
def test_family_passes_without_a_picture(family: str) -> None:
    check_cached_steps(engine(family).model, inputs(family, count=0))


@pytest.mark.parametrize("family", FAMILIES)
def test_family_passes_with_a_padded_batch(family: str) -> None:
    made = engine(family)
    if made.backend.adapter.batches == "alone":
        pytest.skip("rows of this family run one by one")
    check_cached_steps(made.model, made.backend.encoder.encode([ask(family), ask(family, LONGER)]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_family_passes_in_half_precision(family: str, dtype: torch.dtype) -> None:
    model = copy.deepcopy(engine(family).model).to(dtype)
    check_cached_steps(model, to_device(inputs(family), model))


@dataclass
class Sabotage:
    """A model whose every forward pass is changed, each in one way."""

    change: Callable[[dict[str, Any]], None] = lambda arguments: None
    answer: Callable[[Any], Any] = lambda outputs: outputs

    def of(self, family: str) -> Any:
        model = copy.copy(engine(family).model)
        forward = model.forward

        @functools.wraps(forward)  # `generate()` reads its signature
        def changed(*args: Any, **arguments: Any) -> Any:
            self.change(arguments)
            return self.answer(forward(*args, **arguments))

        model.forward = changed
        return model


def cache_name(arguments: Any) -> str | None:
    return next((name for name, value in arguments.items() if isinstance(value, Cache)), None)


def is_step(arguments: dict[str, Any]) -> bool:
    name = cache_name(arguments)
    return name is not None and arguments[name].get_seq_length() > 0


def ignore_cache(arguments: dict[str, Any]) -> None:
    if is_step(arguments):
        name = cache_name(arguments)
        assert name is not None
        # As large as the prompt's, so that shapes agree, and empty.
        blank = copy.deepcopy(arguments[name])
        for layer in blank.layers:
            layer.keys.zero_()
            layer.values.zero_()
        arguments[name] = blank


def forget_cache(arguments: dict[str, Any]) -> None:
    if is_step(arguments):
        name = cache_name(arguments)
        assert name is not None
        arguments[name] = DynamicCache()
        arguments.pop("attention_mask", None)


def swallow_positions(arguments: dict[str, Any]) -> None:
    if is_step(arguments) and arguments.get("position_ids") is not None:
        arguments["position_ids"] = torch.zeros_like(arguments["position_ids"])


def rename_cache(outputs: Any) -> Any:
    name = cache_name(outputs)
    assert name is not None
    renamed = {("kv_state" if each == name else each): value for each, value in outputs.items()}
    return mock.Mock(logits=outputs.logits, items=renamed.items)


def drop_cache(outputs: Any) -> Any:
    kept = {each: value for each, value in outputs.items() if not isinstance(value, Cache)}
    return mock.Mock(logits=outputs.logits, items=kept.items)


def reversed_cache(outputs: Any) -> Any:
    """Hands back, after each step, a cache whose first layer runs backwards."""
    name = cache_name(outputs)
    if name is not None and outputs[name].get_seq_length() > 0:
        outputs[name] = copy.deepcopy(outputs[name])
        outputs[name].layers[0].values = outputs[name].layers[0].values.flip(2)
    return outputs


SABOTAGES = {
    "ignores the cache": Sabotage(change=ignore_cache),
    "forgets the cache": Sabotage(change=forget_cache),
    "swallows positions": Sabotage(change=swallow_positions),
    "renames the cache": Sabotage(answer=rename_cache),
    "drops the cache": Sabotage(answer=drop_cache),
    "turns the cache round": Sabotage(answer=reversed_cache),
}


@pytest.mark.parametrize("count", [0, 1], ids=["text", "picture"])
@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "idefics3"])
@pytest.mark.parametrize("how", SABOTAGES)
def test_broken_model_is_refused(how: str, family: str, count: int) -> None:
    model = SABOTAGES[how].of(family)
    with pytest.raises(ModelError) as caught:
        check_cached_steps(model, inputs(family, count=count))
    message = str(caught.value)
    assert installed in message
    assert repr(model.config.model_type) in message
    assert re.match(r"model type [^\n]*: (install|leave) [^\n]*$", message)


def test_message_says_by_how_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_check, "step_difference", lambda *_, probe: 0.5 + probe)
    with pytest.raises(ModelError, match=r"by 0\.5 of the logits' spread \(at most 0\.001 "):
        check_cached_steps(engine("llava").model, {})


def test_one_tie_that_falls_the_other_way_is_forgiven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_check, "step_difference", lambda *_, probe: [0.5, 1e-6][probe])
    check_cached_steps(engine("llava").model, {})


def test_running_out_of_memory_is_no_verdict_on_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        self_check, "step_difference", mock.Mock(side_effect=torch.OutOfMemoryError("full"))
    )
    with pytest.raises(torch.OutOfMemoryError):
        check_cached_steps(engine("llava").model, {})


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "gemma3", "blip-2"])
def test_nothing_is_changed_and_no_randomness_drawn(family: str) -> None:
    model, given = engine(family).model, inputs(family)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    settings = model.generation_config.to_dict()
    before = {name: value.clone() for name, value in given.items()}
    torch.manual_seed(3)
    state = torch.get_rng_state()
    check_cached_steps(model, given)
    assert torch.equal(torch.get_rng_state(), state)
    assert given.keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in given.items())
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert model.generation_config.to_dict() == settings
    assert not model.training


def test_each_kind_of_prompt_is_checked_once() -> None:
    model = engine("llava").model
    check = SelfCheck(model)
    with mock.patch.object(self_check, "check_cached_steps") as ran:
        for count in (1, 2, 0, 0, 1):
            check(inputs("llava", count=count))
        assert ran.call_count == 2


def test_what_failed_is_refused_again() -> None:
    check = SelfCheck(SABOTAGES["ignores the cache"].of("llava"))
    for _ in range(2):
        with pytest.raises(ModelError):
            check(inputs("llava"))


def test_difference_is_nothing_for_a_sound_model_and_much_for_a_broken_one() -> None:
    given = inputs("llava")
    assert step_difference(engine("llava").model, given) < 1e-5
    assert step_difference(SABOTAGES["forgets the cache"].of("llava"), given) > 0.3
