"""The policy room stands below the record of a decision, and needs no model to be imported."""

from __future__ import annotations

import subprocess
import sys
from pkgutil import iter_modules

from guardrail import policy

HEAVY = ("torch", "transformers", "langchain", "langchain_core", "langgraph", "numpy", "PIL")


def loaded_by(modules: str) -> set[str]:
    code = f"import sys, {modules}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_policy_room_loads_no_heavy_library_and_stands_on_the_errors_alone() -> None:
    every = [f"guardrail.policy.{module.name}" for module in iter_modules(policy.__path__)]
    loaded = loaded_by(", ".join(every))
    assert set(every) <= loaded
    assert not loaded & set(HEAVY)
    own = {name for name in loaded if name.partition(".")[0] == "guardrail"}
    assert own - {"guardrail", "guardrail.policy", *every} == {"guardrail.errors"}


def test_the_errors_load_nothing_of_the_library() -> None:
    own = {name for name in loaded_by("guardrail.errors") if name.startswith("guardrail.")}
    assert own == {"guardrail.errors"}
