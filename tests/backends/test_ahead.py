"""Looking ahead in one pass, or on copies, a few at once: to the same logits."""

from collections.abc import Sequence
from contextlib import nullcontext

import pytest
import torch

from guardrail.backends.transformers import ahead
from guardrail.backends.transformers.backend import TransformersBackend
from guardrail.backends.transformers.branch import Branch
from guardrail.request.conversation import question
from tests.contract.guarded import GREEDY, shown
from tests.families import build


def test_families_that_need_copies_copy_a_few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    run = TransformersBackend(*build("llava")).start(
        [question("Is it hot?", [shown(0)]), question("And this?", [shown(1)])], GREEDY
    )
    run.prefill(lambda _: nullcontext())
    rows = [at % 2 for at in range(40)]
    tokens = [[70 + at, 81] for at in range(40)]
    at_once = run.ahead(rows, tokens)

    forked: list[int] = []
    fork = Branch.fork

    def counted(branch: Branch, rows: Sequence[int]) -> Branch:
        forked.append(len(rows))
        return fork(branch, rows)

    monkeypatch.setattr(ahead, "run_ahead", lambda branch, tokens: None)
    monkeypatch.setattr(Branch, "fork", counted)
    torch.testing.assert_close(run.ahead(rows, tokens), at_once, atol=1e-4, rtol=0)
    assert forked == [16, 16, 8]
