import math

import pytest
import torch

from guardrail.steering.contrast import (
    contrast_logits,
    contrast_published,
    divergence,
    plausible_set,
)


def _logits(*probabilities: float) -> torch.Tensor:
    return torch.tensor([probabilities]).log()


def test_paper_form_is_z_minus_alpha_z_noised() -> None:
    real, noised = torch.tensor([[1.0, 2.0, -1.0]]), torch.tensor([[0.5, -2.0, 4.0]])
    result = contrast_logits(real, noised, alpha=0.3, form="paper")
    assert result.tolist()[0] == pytest.approx([0.85, 2.6, -2.2])


def test_published_form_halves_alpha_where_it_is_safe() -> None:
    real, noised = torch.tensor([[1.0, 2.0, -1.0]] * 2), torch.tensor([[0.5, -2.0, 4.0]] * 2)
    result = contrast_published(real, noised, alpha=0.3, safe=[False, True])
    assert result[0].tolist() == pytest.approx([0.85, 2.6, -2.2])
    assert result[1].tolist() == pytest.approx([0.925, 2.3, -1.6])


def test_default_form_matches_a_hand_computed_step() -> None:
    real, noised = _logits(0.5, 0.4, 0.1), _logits(0.8, 0.1, 0.1)
    result = contrast_logits(real, noised, alpha=1.0, plausibility=0.3).softmax(-1)[0]
    # Inside the set {0, 1}: p^2/q = 0.3125 and 1.6, scaled so that the set keeps its mass of 0.9.
    inside = torch.tensor([0.5**2 / 0.8, 0.4**2 / 0.1])
    expected = [*(0.9 * inside / inside.sum()).tolist(), 0.1]
    assert result.tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("form", ["default", "paper"])
def test_alpha_zero_changes_nothing(form: str) -> None:
    real = torch.randn(3, 50)
    assert torch.equal(contrast_logits(real, torch.randn(3, 50), alpha=0, form=form), real)  # type: ignore[arg-type]


@pytest.mark.parametrize("shift", [0.0, 7.5])
def test_noise_that_changes_nothing_changes_nothing_in_the_default_form(shift: float) -> None:
    real = torch.randn(3, 50)
    result = contrast_logits(real, real + shift, alpha=0.7)
    torch.testing.assert_close(result, real, atol=1e-5, rtol=0)


def test_implausible_tokens_keep_their_probability_and_cannot_win() -> None:
    generator = torch.Generator().manual_seed(0)
    real = 5 * torch.randn(200, 40, generator=generator)
    noised = 5 * torch.randn(200, 40, generator=generator)
    result = contrast_logits(real, noised, alpha=2.0, plausibility=0.1)
    inside = plausible_set(real, 0.1)
    torch.testing.assert_close(
        result.softmax(-1)[~inside], real.softmax(-1)[~inside], atol=1e-6, rtol=1e-4
    )
    torch.testing.assert_close(
        (result.softmax(-1) * inside).sum(-1), (real.softmax(-1) * inside).sum(-1)
    )


def test_a_single_plausible_token_is_left_alone() -> None:
    real, noised = _logits(0.97, 0.02, 0.01), _logits(0.2, 0.4, 0.4)
    torch.testing.assert_close(contrast_logits(real, noised, alpha=3.0), real)


def test_inputs_are_not_changed() -> None:
    real, noised = torch.randn(2, 9), torch.randn(2, 9)
    copies = real.clone(), noised.clone()
    contrast_logits(real, noised, alpha=0.3)
    contrast_logits(real, noised, alpha=0.3, form="paper")
    assert torch.equal(real, copies[0])
    assert torch.equal(noised, copies[1])


def test_plausible_set_is_relative_to_the_most_probable_token() -> None:
    logits = _logits(0.6, 0.07, 0.05, 0.28)
    assert plausible_set(logits, 0.1).tolist() == [[True, True, False, True]]
    assert plausible_set(logits, 0).all()


def test_divergence_is_zero_for_equal_and_ln_2_for_disjoint_distributions() -> None:
    real = torch.tensor([[0.0, -200.0], [1.0, 2.0]])
    noised = torch.tensor([[-200.0, 0.0], [3.0, 4.0]])
    assert divergence(real, noised).tolist() == pytest.approx([math.log(2), 0.0], abs=1e-6)
