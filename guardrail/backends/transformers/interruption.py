"""Stopping a model in the middle of a forward pass, between two of its layers.

A long prompt runs for seconds; a request that is cancelled, or out of time, computes no further.
Hooks are put on the layers for the time of a pass and taken off again; nothing else is touched.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from guardrail.backends.backend import Interrupted


@contextmanager
def interruptible(model: Any, stop: Callable[[], bool] | None) -> Iterator[None]:
    """A with-block in which `model` stops at its next layer once `stop` says so.

    A compiled model is left alone, since a hook would have it compiled again: it stops after the
    pass. Hold the lock that is held around forward passes.

    Args:
        model: A Hugging Face model; unchanged once the block is left.
        stop: Asked before every layer; None never stops.

    Raises:
        Interrupted: It was stopped.
    """
    if stop is None:
        yield
        return

    owner = threading.get_ident()

    def check(*_: object) -> None:
        # Another thread may run the same model, unaware of this one.
        if threading.get_ident() == owner and stop():
            raise Interrupted

    check()
    handles: list[Any] = []
    try:
        handles += [layer.register_forward_pre_hook(check) for layer in _layers(model)]
        yield
    finally:
        for handle in handles:
            handle.remove()
    check()


def _layers(model: nn.Module) -> list[nn.Module]:
    """Returns the layers of all stacks, of the language model and of what sees for it."""
    if any(_is_compiled(module) for module in model.modules()):
        return []
    return [
        layer for stack in model.modules() if isinstance(stack, nn.ModuleList) for layer in stack
    ]


def _is_compiled(module: nn.Module) -> bool:
    return (
        getattr(module, "_compiled_call_impl", None) is not None
        or type(module).__name__ == "OptimizedModule"
        or hasattr(vars(module).get("forward"), "_torchdynamo_orig_callable")
    )
