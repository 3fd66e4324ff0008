"""The tokens of guided steps are drawn as the server would draw them."""

from __future__ import annotations

import numpy as np
import pytest

from guardrail.backends.server.draws import Draws
from guardrail.backends.server.seen_tokens import SeenTokens
from guardrail.request.settings import GenerationSettings


@pytest.mark.parametrize("goes_on", [False, True])
def test_an_end_is_not_chosen_where_the_server_is_to_ignore_it(goes_on: bool) -> None:
    tokens = SeenTokens()
    end, word = tokens.number(b"</s>", control=True), tokens.number(b" word")
    row = np.full((1, len(tokens)), -9.0, np.float32)
    row[0, [0, end, word]] = [0.0, -1.0, -2.0]  # fillers are none of the tokens, however likely
    settings = GenerationSettings(temperature=0, extra={"ignore_eos": goes_on})
    tokens.number(b"<pad>", control=True)  # seen since
    draws = Draws(1, settings, tokens, seed=0)
    assert draws.choose(row) == draws.peek(row) == [word if goes_on else end]
