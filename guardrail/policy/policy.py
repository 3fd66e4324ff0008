"""A policy: what it says, known to hang together, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from pydantic import ValidationInfo, model_validator

from guardrail.policy.checks import (
    known_locks,
    ordered_actions,
    ordered_thresholds,
    unique_categories,
)
from guardrail.policy.digest import digest_of
from guardrail.policy.inheritance import inherits, resolve_plain
from guardrail.policy.message import AnyRuling, refusal_message, refusal_reason
from guardrail.policy.rules import CategoryRule, compile_rules
from guardrail.policy.schema import PolicyContent


class Policy(PolicyContent):
    """An organisation's rules, complete: nothing is left to inherit.

    `Policy.model_validate` takes what a policy file holds, `extends` too (paths in it are relative
    to the working directory). Use `load_policy` for files: its errors name line and column.
    """

    @model_validator(mode="before")
    @classmethod
    def _resolve(cls, data: Any, info: ValidationInfo) -> Any:
        resolved = info.context and info.context.get("resolved")
        if resolved or not isinstance(data, Mapping) or not inherits(data):
            return data
        return resolve_plain(data)

    @model_validator(mode="after")
    def _hangs_together(self) -> Policy:
        unique_categories(self)
        ordered_thresholds(self, self.rules)
        ordered_actions(self, self.rules)
        known_locks(self)
        return self

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the content, hexadecimal; the same in every process and key order."""
        return digest_of(self.model_dump(mode="json"))

    @cached_property
    def rules(self) -> tuple[CategoryRule, ...]:
        """The effective thresholds and actions of each category, in the policy's order."""
        return compile_rules(self)

    @cached_property
    def phrases(self) -> tuple[str, ...]:
        """The refusal phrases of all languages, each once; languages in alphabetical order."""
        languages = sorted(self.refusals)
        return tuple(dict.fromkeys(p for code in languages for p in self.refusals[code].phrases))

    @property
    def earns(self) -> bool:
        """Whether a local judge has to earn that *safe* suppresses refusals."""
        modulation = self.modulation
        idle = modulation.form == "off" or modulation.suppress == 0
        idle = idle and self.contrast.is_off  # which pushes away from refusal, too
        return self.judge.competence.evidence != "none" and not idle

    def message_for(self, ruling: AnyRuling, language: str | None = None) -> str:
        """Returns the words that a blocked request is answered with, or that replace an answer.

        Args:
            ruling: What `decide` or `decide_reading` returned.
            language: A language code; the policy's own without one. `pt-BR` falls back to `pt`,
                then to English, then to the first language that the policy has.
        """
        return refusal_message(self, ruling, language or self.language)

    def reason_for(self, ruling: AnyRuling, language: str | None = None) -> str:
        """Returns the words for why, as they stand in a message."""
        return refusal_reason(self, ruling, language or self.language)
