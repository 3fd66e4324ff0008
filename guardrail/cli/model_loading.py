"""Loads a model for a command, without the chatter of the libraries below."""

from __future__ import annotations

import logging
import os
import warnings
from typing import TYPE_CHECKING

from rich.console import Console

from guardrail.policy import Policy

if TYPE_CHECKING:
    from guardrail.steering.safecode import SafeCoDe


def load_engine(model: str | None, policy: Policy, *, console: Console) -> SafeCoDe:
    """Returns the guarded model, with a spinner on `console` while it loads.

    Args:
        model: A path or id; None for the model that ships with the package.
        policy: What guards it.
        console: Where the spinner shows, if it is a terminal: standard error.

    Raises:
        ModelError: It cannot be loaded or guided.
    """
    name = model or "the embedded model"
    with console.status(f"Loading {name} …"):
        quiet()
        from guardrail.steering.safecode import SafeCoDe

        if model is None:
            return SafeCoDe.embedded(policy=policy)
        return SafeCoDe.from_pretrained(model, policy=policy)


def quiet() -> None:
    """Silences what libraries would print while they load: bars, notices and warnings.

    Only commands do this: a program that uses the library keeps its own settings.
    """
    warnings.filterwarnings("ignore")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from guardrail.backends.transformers.loading import quieten

    quieten()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    # What goes wrong on the way is in the decision record, which the commands show.
    logging.getLogger("guardrail").setLevel(logging.ERROR)
