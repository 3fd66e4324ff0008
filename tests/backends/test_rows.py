"""Rows are selected and joined however deep they lie."""

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.modeling_outputs import BaseModelOutputWithPooling

from guardrail.backends.transformers.rows import join_rows, select_rows
from guardrail.errors import ModelError

Pair = namedtuple("Pair", ["one", "two"])
PICK = torch.tensor([1, 1, 0])


@dataclass(frozen=True)
class Holder:
    part: Tensor
    count: int


def rows(*values: float) -> Tensor:
    return torch.tensor(values)[:, None]


def nested(*values: float) -> dict[str, Any]:
    return {
        "tensor": rows(*values),
        "list": [rows(*values), 7],
        "tuple": (rows(*values),),
        "named": Pair(rows(*values), None),
        "dict": {"deep": {"deeper": rows(*values)}},
        "output": BaseModelOutputWithPooling(last_hidden_state=rows(*values)),
        "holder": Holder(rows(*values), 3),
        "word": "kept",
    }


def flat(values: dict[str, Any]) -> list[Tensor]:
    return [
        values["tensor"],
        values["list"][0],
        values["tuple"][0],
        values["named"].one,
        values["dict"]["deep"]["deeper"],
        values["output"].last_hidden_state,
        values["holder"].part,
    ]


def test_selected_rows_are_selected_everywhere() -> None:
    given = nested(1, 2)
    made = select_rows(given, PICK, batch=2)
    assert all(torch.equal(each, rows(2, 2, 1)) for each in flat(made))
    assert all(torch.equal(each, rows(1, 2)) for each in flat(given))
    assert [type(made[name]) for name in made] == [type(given[name]) for name in given]
    assert (made["list"][1], made["holder"].count, made["word"]) == (7, 3, "kept")


def test_joined_rows_are_joined_everywhere() -> None:
    made = join_rows(nested(1, 2), nested(3, 4), batch=2)
    assert all(torch.equal(each, rows(1, 2, 3, 4)) for each in flat(made))
    assert made["named"].two is None


def test_a_row_of_several_pictures_stays_together() -> None:
    features = torch.arange(4.0).view(4, 1, 1)  # two rows of two pictures
    made = select_rows({"pictures": features}, torch.tensor([1, 0, 1]), batch=2, grouped=True)
    assert made["pictures"].flatten().tolist() == [2, 3, 0, 1, 2, 3]
    assert select_rows({"pictures": features}, PICK, batch=2)["pictures"] is features


def test_caches_within_are_selected_and_joined() -> None:
    cache = DynamicCache()
    cache.update(torch.arange(2.0).view(2, 1, 1, 1), torch.arange(2.0).view(2, 1, 1, 1), 0)
    made = select_rows({"parts": [cache]}, PICK, batch=2)["parts"][0]
    assert made.layers[0].keys.flatten().tolist() == [1, 1, 0]
    made = join_rows({"parts": [cache]}, {"parts": [cache]}, batch=2)["parts"][0]
    assert made.layers[0].keys.flatten().tolist() == [0, 1, 0, 1]


def test_what_only_one_has_is_dropped() -> None:
    one = {"both": rows(1), "mine": rows(1), "gone": {"deep": rows(1), "other": None}}
    two = {"both": rows(2), "gone": {"deep": None, "other": None}}
    made = join_rows(one, two, batch=1)
    assert set(made) == {"both", "gone"}
    assert made["gone"] == {"deep": None, "other": None}


def test_parts_that_do_not_match_are_an_error() -> None:
    with pytest.raises(ModelError, match="cannot join the rows of 'parts': one is a list of 1"):
        join_rows({"parts": [rows(1)]}, {"parts": [rows(1), rows(2)]}, batch=1)
