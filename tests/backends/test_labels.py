import math

import pytest
import torch

from guardrail.backends.transformers.labels import Labels, read_labels
from guardrail.errors import JudgeError

LABELS = Labels(yes=(0, 1), no=(2,))


def test_p_harm_is_the_share_of_yes_among_yes_and_no() -> None:
    logits = torch.tensor([[0.2, 0.1, 0.1, 0.6], [0.0001, 0.0001, 0.9, 0.0998]]).log()
    assert read_labels(logits, LABELS) == pytest.approx([0.75, 0.0002 / 0.9002], rel=1e-4)


def test_an_answer_that_is_neither_yes_nor_no_is_unreadable() -> None:
    with pytest.raises(JudgeError, match="neither yes nor no"):
        read_labels(torch.tensor([[0.0, 0.0, 0.0, 50.0]]), LABELS)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_logits_that_are_not_finite_are_unreadable(bad: float) -> None:
    with pytest.raises(JudgeError, match="not finite"):
        read_labels(torch.tensor([[0.0, bad, 0.0, 0.0]]), LABELS)


@pytest.mark.parametrize(("yes", "no"), [((), (1,)), ((1,), ()), ((1, 2), (2,))])
def test_labels_that_cannot_tell_yes_from_no_are_an_error(
    yes: tuple[int, ...], no: tuple[int, ...]
) -> None:
    with pytest.raises(JudgeError, match="tell yes from no"):
        Labels(yes, no)
