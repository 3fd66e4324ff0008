"""What answers depend on: the state of a model's files, and what is asked of it."""

import json
import os
from pathlib import Path

from guardrail.evaluation.provenance import run_of, weights_of

from .made import samples


def test_other_weights_in_the_same_place_are_another_run(tmp_path: Path) -> None:
    assert weights_of(str(tmp_path)) == []
    assert weights_of("org/name") == []
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"1")
    os.utime(file, ns=(1, 1))
    [first] = weights_of(str(tmp_path))
    os.utime(file, ns=(2, 2))
    [later] = weights_of(str(tmp_path))
    file.write_bytes(b"22")
    os.utime(file, ns=(2, 2))
    [longer] = weights_of(str(tmp_path))
    assert len({first, later, longer}) == 3


def test_a_run_is_plain_json_and_names_what_else_it_depends_on() -> None:
    dataset = samples([False, True])
    run = run_of(dataset, model="org/name", batch=4, questions="abc")
    assert json.loads(json.dumps(run)) == run
    assert run["samples"] == dataset.digest
    assert (run["model"], run["batch"], run["questions"]) == ("org/name", 4, "abc")
    assert run != run_of(samples([True, False]), model="org/name", batch=4, questions="abc")
