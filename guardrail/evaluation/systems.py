"""The systems that an evaluation compares: one model under several policies.

Each is a policy and a mode; the model is the same, and so are the requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from guardrail.errors import PolicyError
from guardrail.policy import Policy, load_policy
from guardrail.policy.terms import Mode

SYSTEMS: dict[str, str] = {
    "unguarded": "the model as it is",
    "guarded": "the policy given, `baseline` by default",
    "paper": "the published settings of SafeCoDe",
    "contrast-only": "the policy given, without modulation",
    "modulation-only": "the policy given, without contrast",
}
"""The built-in systems and what they are; any other name is taken as a policy's name or path."""


@dataclass(frozen=True)
class System:
    """One of the systems compared."""

    name: str
    policy: Policy
    mode: Mode


def systems_for(names: Sequence[str], policy: Policy) -> tuple[System, ...]:
    """Returns the systems by name, each once, in the order given.

    Args:
        names: Of `SYSTEMS`, or policies' names or paths.
        policy: The policy that the built-in systems are made from.

    Raises:
        PolicyError: A name is neither a system nor a policy.
    """
    unique = dict.fromkeys(name.strip() for name in names if name.strip())
    if not unique:
        raise PolicyError(f"no systems are given: accepted are {', '.join(SYSTEMS)}, or policies")
    return tuple(_system(name, policy) for name in unique)


def _system(name: str, policy: Policy) -> System:
    if name == "unguarded":
        return System(name, policy, "off")
    if name == "guarded":
        return System(name, policy, "enforce")
    if name == "contrast-only":
        without = policy.modulation.model_copy(update={"form": "off"})
        return System(name, policy.model_copy(update={"modulation": without}), "enforce")
    if name == "modulation-only":
        without = policy.contrast.model_copy(update={"when": "never"})
        return System(name, policy.model_copy(update={"contrast": without}), "enforce")
    try:
        return System(name, load_policy(name), "enforce")
    except PolicyError as error:
        if name in str(error) and "there is no policy named" in str(error):
            raise PolicyError(
                f"{name!r} is neither a system nor a policy: accepted are {', '.join(SYSTEMS)}, "
                "a policy's name, or a path ending in .yaml"
            ) from error
        raise
