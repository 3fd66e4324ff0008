"""What may be asked again, or of another model: failures of running, never what the guard withheld.

LangChain's `with_fallbacks` and `with_retry` handle every exception unless told otherwise, so that
an escalation would be answered by a model that nobody guards. Here, and in whatever LangChain wraps
around a guarded model, they handle `guardrail.errors.OPERATIONAL`; more has to be asked for, and
warns. A chain that begins with something else (`prompt | model`) is LangChain's own, and handles
everything: give fallbacks to the model in it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.runnables import (
    ConfigurableField,
    Runnable,
    RunnableBinding,
    RunnableConfig,
    RunnableSequence,
)
from langchain_core.runnables.configurable import (
    RunnableConfigurableAlternatives,
    RunnableConfigurableFields,
)
from langchain_core.runnables.fallbacks import RunnableWithFallbacks
from langchain_core.runnables.retry import RunnableRetry

from guardrail.errors import OPERATIONAL, Withheld


class WithheldWarning(UserWarning):
    """A fallback or retry was told to handle what the guard withholds."""


class CautiousRunnable(Runnable[Any, Any]):
    """A runnable that holds a guarded model, and so do the runnables that are made of it."""

    def with_fallbacks(
        self,
        fallbacks: Sequence[Runnable[Any, Any]],
        *,
        exceptions_to_handle: tuple[type[BaseException], ...] = OPERATIONAL,
        exception_key: str | None = None,
    ) -> RunnableWithFallbacks[Any, Any]:
        """Returns this with others to try where it fails to run.

        Args:
            fallbacks: What is tried, in order.
            exceptions_to_handle: By default what has nothing to do with the request. More warns:
                whatever the guard withholds would be answered by a fallback.
            exception_key: Under which the exception is passed on.
        """
        _warn_of(exceptions_to_handle, "with_fallbacks")
        return super().with_fallbacks(
            fallbacks, exceptions_to_handle=exceptions_to_handle, exception_key=exception_key
        )

    def with_retry(
        self,
        *,
        retry_if_exception_type: tuple[type[BaseException], ...]
        | Callable[[BaseException], bool] = OPERATIONAL,
        **options: Any,
    ) -> Any:
        """Returns this with further attempts where it fails to run.

        Args:
            retry_if_exception_type: As for `with_fallbacks`; a withheld request is not asked until
                it passes.
            **options: LangChain's.
        """
        if not callable(retry_if_exception_type):
            _warn_of(retry_if_exception_type, "with_retry")
        return cautious(
            super().with_retry(retry_if_exception_type=retry_if_exception_type, **options)
        )

    # What LangChain wraps around a runnable has these methods of its own -------------------------

    def bind(self, **kwargs: Any) -> Any:
        """Returns this with arguments of its calls; see LangChain's."""
        return cautious(super().bind(**kwargs))

    def with_config(self, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Returns this with a configuration; see LangChain's."""
        return cautious(super().with_config(config, **kwargs))

    def with_listeners(self, **listeners: Any) -> Any:
        """Returns this with listeners; see LangChain's."""
        return cautious(super().with_listeners(**listeners))

    def with_alisteners(self, **listeners: Any) -> Any:
        """Returns this with asynchronous listeners; see LangChain's."""
        return cautious(super().with_alisteners(**listeners))

    def with_types(self, **types: Any) -> Any:
        """Returns this with types of its input and output; see LangChain's."""
        return cautious(super().with_types(**types))

    def configurable_fields(self, **fields: Any) -> Any:
        """Returns this with fields that a configuration sets; see LangChain's."""
        return cautious(super().configurable_fields(**fields))  # type: ignore[misc]

    def configurable_alternatives(self, which: ConfigurableField, **options: Any) -> Any:
        """Returns this with alternatives that a configuration chooses; see LangChain's."""
        return cautious(super().configurable_alternatives(which, **options))  # type: ignore[misc]

    def __or__(self, other: Any) -> Any:
        return cautious(super().__or__(other))

    def __ror__(self, other: Any) -> Any:
        return cautious(super().__ror__(other))

    def pipe(self, *others: Any, name: str | None = None) -> Any:
        """Returns a chain that begins with this; see LangChain's."""
        return cautious(super().pipe(*others, name=name))


class CautiousBinding(CautiousRunnable, RunnableBinding[Any, Any]):  # type: ignore[misc, no-redef]
    """A guarded model with arguments or a configuration of its calls."""

    def get_num_tokens_from_messages(self, messages: Any, tools: Any = None) -> int:
        """Returns the prompt's tokens, the tools that are bound included."""
        bound: Any = self.bound
        given = self.kwargs.get("tools") if tools is None else tools
        count: int = bound.get_num_tokens_from_messages(messages, given)
        return count

    @classmethod
    def lc_id(cls) -> list[str]:
        """Written down as LangChain's own."""
        return RunnableBinding.lc_id()


class CautiousRetry(CautiousRunnable, RunnableRetry[Any, Any]):  # type: ignore[no-redef]
    """A guarded model that is tried again."""

    @classmethod
    def lc_id(cls) -> list[str]:
        """Written down as LangChain's own."""
        return RunnableRetry.lc_id()


class CautiousSequence(CautiousRunnable, RunnableSequence[Any, Any]):
    """A chain that begins with a guarded model."""

    @classmethod
    def lc_id(cls) -> list[str]:
        """Written down as LangChain's own."""
        return RunnableSequence.lc_id()


class CautiousFields(CautiousRunnable, RunnableConfigurableFields):  # type: ignore[type-arg]
    """A guarded model with fields that a configuration sets."""

    @classmethod
    def lc_id(cls) -> list[str]:
        """Written down as LangChain's own."""
        return RunnableConfigurableFields.lc_id()


class CautiousAlternatives(CautiousRunnable, RunnableConfigurableAlternatives):  # type: ignore[type-arg]
    """A guarded model with alternatives that a configuration chooses."""

    @classmethod
    def lc_id(cls) -> list[str]:
        """Written down as LangChain's own."""
        return RunnableConfigurableAlternatives.lc_id()


_CAUTIOUS: tuple[tuple[type[Any], type[Any]], ...] = (
    (RunnableBinding, CautiousBinding),
    (RunnableRetry, CautiousRetry),
    (RunnableSequence, CautiousSequence),
    (RunnableConfigurableFields, CautiousFields),
    (RunnableConfigurableAlternatives, CautiousAlternatives),
)


def cautious(made: Any) -> Any:
    """Returns what LangChain made of a guarded model, as careful as the model itself."""
    if isinstance(made, CautiousRunnable):
        return made
    for theirs, ours in _CAUTIOUS:
        if isinstance(made, theirs):
            return ours(**{name: getattr(made, name) for name in theirs.model_fields})
    return made


def _warn_of(handled: tuple[type[BaseException], ...], method: str) -> None:
    kinds = handled if isinstance(handled, tuple) else (handled,)
    risky = [each for each in kinds if issubclass(each, Withheld) or issubclass(Withheld, each)]
    if risky:
        named = ", ".join(each.__name__ for each in risky)
        warnings.warn(
            f"{method} handles {named}, and with it what the guard withholds (escalations, "
            "pictures that cannot be judged, records that cannot be kept), around the guard",
            WithheldWarning,
            stacklevel=3,
        )
