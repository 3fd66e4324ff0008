"""The guarded chat model that answers an agent, beneath what LangChain wraps around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.base import RunnableBindingBase
from langchain_core.runnables.config import merge_configs
from langchain_core.runnables.configurable import DynamicRunnable

from guardrail.chat.model import ChatSafeCoDe
from guardrail.policy import Policy
from guardrail.policy.context import Metadata
from guardrail.policy.terms import Mode


@dataclass(frozen=True)
class GuardedModel:
    """A model that judges its requests itself.

    Attributes:
        model: The chat model.
        settings: Those of the call, over those that are bound to it.
    """

    model: ChatSafeCoDe
    settings: Mapping[str, Any]

    def policy(self, metadata: Metadata | None) -> Policy:
        """Returns the policy that a call with these settings will have.

        Raises:
            PolicyError: It is not usable.
        """
        own = self.model.policy if (given := self.settings.get("policy")) is None else given
        chosen: Policy = self.model.engine.policy_for(own, metadata)
        return chosen

    def mode(self, policy: Policy) -> Mode:
        """Returns the mode that a call under `policy` will have."""
        mode: Mode | None = self.settings.get("mode", self.model.mode)
        return mode or policy.mode


def guarded_model(
    model: Any, settings: Mapping[str, Any], config: RunnableConfig
) -> GuardedModel | None:
    """Returns the guarded model that will answer; None if another may.

    Args:
        model: A chat model, configured or not.
        settings: Those of the call.
        config: The run's.
    """
    if isinstance(model, ChatSafeCoDe):
        return GuardedModel(model, settings)
    if isinstance(model, RunnableBindingBase):
        within = merge_configs(model.config, config)
        return guarded_model(model.bound, {**model.kwargs, **settings}, within)
    if isinstance(model, DynamicRunnable):
        chosen, within = model.prepare(config)
        found = guarded_model(chosen, settings, within)
        # LangChain binds tools to the default, whatever is configured.
        return found if guarded_model(model.default, settings, within) is not None else None
    return None
