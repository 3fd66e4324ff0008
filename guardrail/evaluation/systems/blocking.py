"""Systems that block what is unsafe: what steering has to be worth more than."""

from __future__ import annotations

from guardrail.evaluation.systems.acting import acting, modulated, unsteered
from guardrail.evaluation.systems.system import System
from guardrail.policy import Policy


def verdict_then_block(name: str, policy: Policy) -> System:
    """Blocks what is unsafe, by the nearer threshold where it is uncertain; the rest is plain."""
    blocking = acting(policy, safe="plain", uncertain="lean", unsafe="block")
    return System(name, unsteered(blocking), "enforce")


def block_and_suppress(name: str, policy: Policy) -> System:
    """Blocks what is unsafe, suppresses refusals in full where it is safe; between, it is plain."""
    blocking = acting(policy, safe="comply", uncertain="plain", unsafe="block")
    return System(name, modulated(blocking, scale="fixed"), "enforce")
