"""Openings: which one is taken, and that nothing else can come."""

import math

import numpy as np
import pytest
import torch

from guardrail.policy import Policy, load_policy
from guardrail.steering.opening import forced, likeliest, openings_of


def spelled(text: str) -> list[int]:
    return list(text.encode())


def with_openings(**words: str) -> Policy:
    base = load_policy("baseline")
    modulation = {**base.modulation.model_dump(), "form": "opening", "openings": words}
    changed: Policy = base.model_copy(update={"modulation": modulation})
    return changed


def test_an_opening_goes_by_the_action() -> None:
    policy = with_openings(comply="Sure,", refuse="No.")
    assert openings_of(policy, "comply", spelled) == (tuple(b"Sure,"),)
    assert openings_of(policy, "refuse", spelled) == (tuple(b"No."),)
    assert openings_of(policy, "plain", spelled) == ()
    assert openings_of(with_openings(refuse="No."), "comply", spelled) == ()


@pytest.mark.parametrize("action", ["comply", "refuse", "plain"])
def test_other_forms_have_no_openings(action: str) -> None:
    for name in ("baseline", "paper"):
        assert openings_of(load_policy(name), action, spelled) == ()  # type: ignore[arg-type]


def test_the_published_code_forces_an_excuse_no_longer_than_its_guided_steps() -> None:
    policy = load_policy("published-code")
    found = openings_of(policy, "refuse", spelled)
    assert tuple(b"Sorry") in found
    assert tuple(b"I cannot"[:5]) in found
    assert tuple(b"Hello") not in found
    assert max(map(len, found)) == policy.contrast.guided_steps == 5
    assert openings_of(policy, "comply", spelled) == ()


@pytest.mark.parametrize("array", [torch.tensor, np.array])
def test_the_likeliest_opening_is_that_of_the_largest_summed_probability(array: object) -> None:
    logits = array([math.log(p) for p in (0.1, 0.2, 0.3, 0.4)])  # type: ignore[operator]
    assert likeliest(logits, [(3,), (1, 2)]) == (1, 2)  # 0.4 < 0.2 + 0.3
    assert likeliest(logits, [(3,), (0, 1)]) == (3,)
    assert likeliest(logits, [(0, 1), (1, 0)]) == (0, 1)


@pytest.mark.parametrize("array", [torch.tensor, np.array])
def test_a_forced_token_is_certain_and_other_rows_are_left(array: object) -> None:
    logits = array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])  # type: ignore[operator]
    certain = torch.as_tensor(forced(logits, [0, None]))
    assert certain.softmax(-1)[0].tolist() == [1.0, 0.0, 0.0]
    assert certain[1].tolist() == [1.0, 2.0, 3.0]
    assert torch.as_tensor(logits)[0].tolist() == [1.0, 2.0, 3.0]
    assert forced(logits, [None, None]) is logits
