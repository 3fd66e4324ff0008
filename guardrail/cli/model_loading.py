"""Loads a model for a command, without the chatter of the libraries below."""

from __future__ import annotations

import logging
import os
import warnings
from typing import TYPE_CHECKING, Any

from rich.console import Console

from guardrail.policy import Policy

if TYPE_CHECKING:
    from guardrail.steering.safecode import SafeCoDe

SERVER_KEY = "GUARDRAIL_SERVER_KEY"
"""The environment variable that holds a server's key."""

EMBEDDED = "embedded"
"""The name of the model that ships with the package."""


def load_engine(
    model: str | None,
    policy: Policy | str,
    *,
    server: str | None = None,
    console: Console,
    **kept: Any,
) -> SafeCoDe:
    """Returns the guarded model, with a spinner on `console` while it loads.

    Args:
        model: A path or id, or its name on the server; `embedded`, or None, for the model that
            ships with the package; None for the only one that a server has.
        policy: What guards it; a file that is given by path is watched.
        server: The URL of the server that runs it; its key is in `SERVER_KEY`.
        console: Where the spinner shows, if it is a terminal: standard error.
        **kept: `sessions` and `approval_ledger` of `SafeCoDe`, if any.

    Raises:
        ModelError: It cannot be loaded or guided.
    """
    own = None if model == EMBEDDED else model
    if server is not None:
        with console.status(f"Asking {server} …"):
            quiet_records()
            from guardrail.steering.safecode import SafeCoDe

            key = os.environ.get(SERVER_KEY)
            return SafeCoDe.from_server(server, model=own, api_key=key, policy=policy, **kept)
    with console.status(f"Loading {own or 'the embedded model'} …"):
        quiet()
        from guardrail.steering.safecode import SafeCoDe

        if own is None:
            return SafeCoDe.embedded(policy=policy, **kept)
        return SafeCoDe.from_pretrained(own, policy=policy, **kept)


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
    quiet_records()


def quiet_records() -> None:
    """Silences this package's own log.

    Only commands do this: a program that uses the library keeps its own settings.
    """
    # What goes wrong on the way is in the decision record, which the commands show.
    logging.getLogger("guardrail").setLevel(logging.ERROR)
