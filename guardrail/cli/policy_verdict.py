"""Verdicts and request metadata as they are given on the command line."""

from __future__ import annotations

from collections.abc import Sequence

from guardrail.errors import PolicyError
from guardrail.policy import Policy
from guardrail.policy.suggest import did_you_mean, listed, quoted
from guardrail.policy.verdict import Verdict


def verdict_of(policy: Policy, given: Sequence[str], *, rest: float, error: str | None) -> Verdict:
    """Returns the verdict of `ID=P` arguments.

    Args:
        policy: Whose categories the ids are checked against.
        given: Such as `medical=0.7`; the number may be any, also `nan`.
        rest: The probability of the categories that are not given.
        error: Why the judge failed, if it did.

    Raises:
        PolicyError: If an argument is malformed or names no category.
    """
    if error is not None:
        if given:
            raise PolicyError("--error and -p exclude each other: a judge that failed says nothing")
        return Verdict.unavailable(error)
    known = [category.id for category in policy.categories]
    beliefs = dict.fromkeys(known, rest)
    seen: set[str] = set()
    for argument in given:
        name, number = _pair(argument, "medical=0.7")
        if name not in known:
            raise PolicyError(
                f"{quoted(name)} is no category of {policy.name}{did_you_mean(name, known)}: "
                f"accepted are {listed(known)}"
            )
        if name in seen:
            raise PolicyError(f"{quoted(name)} is given twice: keep one of them")
        seen.add(name)
        try:
            beliefs[name] = float(number)
        except ValueError:
            raise PolicyError(
                f"{quoted(number)} is no probability for {name}: accepted is a number, or nan"
            ) from None
    return Verdict(beliefs, source="callable")


def metadata_of(given: Sequence[str]) -> dict[str, str]:
    """Returns the metadata of `KEY=VALUE` arguments.

    Raises:
        PolicyError: If an argument is malformed.
    """
    return dict(_pair(argument, "tenant=acme") for argument in given)


def _pair(argument: str, example: str) -> tuple[str, str]:
    name, equals, value = argument.partition("=")
    if not equals or not name or not value:
        raise PolicyError(f"{quoted(argument)} is not accepted: accepted is such as {example}")
    return name.strip(), value.strip()
