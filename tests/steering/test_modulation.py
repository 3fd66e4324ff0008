import math

import pytest
import torch

from guardrail.steering.modulation import modulate_paper, modulate_phrases, modulate_published

IDS = torch.tensor([1, 3])
NONE = torch.tensor([], dtype=torch.long)


def test_phrase_form_shifts_only_the_given_tokens_of_each_row() -> None:
    logits = torch.zeros(3, 5)
    shifted = modulate_phrases(logits, [IDS, IDS, NONE], [2.0, -1.5, 4.0])
    assert shifted.tolist() == [[0, 2.0, 0, 2.0, 0], [0, -1.5, 0, -1.5, 0], [0] * 5]
    assert not logits.any()


def test_delta_zero_changes_nothing() -> None:
    logits = torch.randn(2, 5)
    assert modulate_phrases(logits, [IDS, IDS], [0.0, 0.0]) is logits
    assert modulate_paper(logits, IDS, [0.0, 0.0], top_k=5) is logits


def test_paper_form_touches_refusal_tokens_among_the_top_k_only() -> None:
    logits = torch.tensor([[5.0, 4.0, 3.0, 2.0, 1.0]])
    assert modulate_paper(logits, IDS, [1.0], top_k=3).tolist() == [[5.0, 5.0, 3.0, 2.0, 1.0]]
    assert modulate_paper(logits, IDS, [-1.0], top_k=99).tolist() == [[5.0, 3.0, 3.0, 1.0, 1.0]]


def test_paper_form_follows_each_rows_own_sign() -> None:
    logits = torch.zeros(2, 5)
    shifted = modulate_paper(logits, IDS, [1.0, -1.0], top_k=5)
    assert shifted[:, IDS].tolist() == [[1.0, 1.0], [-1.0, -1.0]]


def test_published_form_halves_probabilities_over_the_whole_vocabulary() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    shifted = modulate_published(logits, torch.tensor([0, 3]), [-math.log(2)])
    # 0.25, 0.3, 0.15, 0.025, of 0.725 together.
    expected = [0.25 / 0.725, 0.3 / 0.725, 0.15 / 0.725, 0.025 / 0.725]
    assert shifted.softmax(-1)[0].tolist() == pytest.approx(expected)
    assert modulate_published(logits, torch.tensor([0, 3]), [0.0]) is logits
