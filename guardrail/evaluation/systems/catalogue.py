"""Every system by name: what it is, where it comes from, what it costs, and what makes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from guardrail.errors import PolicyError
from guardrail.evaluation.dataset import Dataset
from guardrail.evaluation.systems import (
    beginning,
    bias,
    blocking,
    parts,
    prompting,
    published,
)
from guardrail.evaluation.systems.system import System
from guardrail.policy import Policy, load_policy
from guardrail.policy.suggest import did_you_mean

EVERY = "all"
"""Instead of a name: all of the catalogue, in its order."""


@dataclass(frozen=True)
class Kind:
    """A system that can be named.

    Attributes:
        name: As it is asked for.
        summary: What it is, in one line.
        origin: Where it comes from.
        cost: What it takes beyond the unguarded answer, in passes of the model.
        make: Makes it of its name and the evaluated policy.
        parameter: What may follow the name after a colon, if anything may.
    """

    name: str
    summary: str
    origin: str
    cost: str
    make: Callable[..., System]
    parameter: str = ""


_JUDGED = "the questions, in one pass on the answer's own prompt"
_STEPS = "recorded guided steps, each with a few tokens looked ahead"

_KINDS: tuple[Kind, ...] = (
    Kind("unguarded", "the model as it is", "-", "nothing", parts.unguarded),
    Kind(
        "guarded",
        "the policy that is evaluated, `baseline` by default",
        "this package",
        f"{_JUDGED}; a second prompt and its steps where contrast runs; another look of the judge "
        f"where the policy asks for one; {_STEPS}",
        parts.guarded,
    ),
    Kind(
        "request-only",
        "the policy, its verdict on the request alone: nobody watches the answer",
        "ablation",
        "as guarded, without the readings of the answer",
        parts.request_only,
    ),
    Kind(
        "contrast-only",
        "the policy without modulation",
        "ablation",
        "as guarded",
        parts.contrast_only,
    ),
    Kind(
        "modulation-only",
        "the policy without contrast",
        "ablation",
        "as guarded, without the second prompt",
        parts.modulation_only,
    ),
    Kind(
        "fixed-strength",
        "the policy, modulation at full strength however sure the verdict",
        "ablation",
        "as guarded",
        parts.fixed_strength,
    ),
    Kind(
        "scaled-strength",
        "the policy, modulation scaled by how sure the verdict is",
        "ablation",
        "as guarded",
        parts.scaled_strength,
    ),
    Kind(
        "verdict-then-block",
        "fixed words where the verdict is unsafe (uncertain: the nearer threshold), else plain",
        "what a classifier in front of a model does",
        f"{_JUDGED}; no answer where it blocks",
        blocking.verdict_then_block,
    ),
    Kind(
        "block-and-suppress",
        "fixed words where unsafe, refusals suppressed in full where safe, plain between",
        "the above, with the half of steering that helps",
        f"{_JUDGED}; {_STEPS}; no answer where it blocks",
        blocking.block_and_suppress,
    ),
    Kind(
        "safety-prompt",
        "a fixed safety instruction in the prompt, no verdict",
        "common practice; the words are ours",
        "a longer prompt",
        prompting.safety_prompt,
    ),
    Kind(
        "verdict-in-prompt",
        "the verdict as an instruction in the prompt: refuse it, or help with it",
        "the judge's word for the model itself; the words are ours",
        "a second prompt, for the judge, and the questions; a longer prompt",
        prompting.verdict_in_prompt,
    ),
    Kind(
        "forced-beginning",
        "the answer begun with a refusal phrase where unsafe, with 'Sure,' where safe",
        "prefilling, by the verdict",
        f"{_JUDGED}; {_STEPS}",
        beginning.forced_beginning,
    ),
    Kind(
        "constant-bias",
        "no verdict, a constant number of nats away from refusal at the guided steps",
        "what a verdict has to add to",
        _STEPS,
        bias.constant_bias,
        f"nats, {bias.DEFAULT_NATS:g} without: constant-bias:{bias.DEFAULT_NATS:g}",
    ),
    Kind(
        "paper",
        "the equations and settings of SafeCoDe's paper",
        "arXiv 2509.19212; policies/paper.yaml",
        f"{_JUDGED}; a second prompt and its steps; {_STEPS}",
        published.paper,
    ),
    Kind(
        "published-code",
        "what SafeCoDe's released code does, decoded like the others",
        "github.com/franciscoliu/SafeCoDe at 4d2ca1b; policies/published-code.yaml",
        f"{_JUDGED}; a second prompt and its steps; {_STEPS}",
        published.published_code,
    ),
)

KINDS: dict[str, Kind] = {each.name: each for each in _KINDS}
"""The catalogue, in the order of its tables."""

SYSTEMS: dict[str, str] = {each.name: each.summary for each in _KINDS}
"""The built-in systems and what they are; any other name is taken as a policy's name or path."""

DEFAULT_SYSTEMS = ("unguarded", "guarded", "verdict-then-block", "paper")
"""What is compared if nothing is said."""


WATCHING_SYSTEMS = ("unguarded", "request-only", "guarded")
"""The same for a data set about answers that turn."""


def default_systems(dataset: Dataset) -> tuple[str, ...]:
    """Returns what is compared on a data set if nothing is said."""
    turns = any(each.side == "turning" for each in dataset)
    return WATCHING_SYSTEMS if turns else DEFAULT_SYSTEMS


def listing() -> list[dict[str, str]]:
    """Returns what every system says of itself, as plain JSON."""
    return [
        {
            "name": each.name,
            "summary": each.summary,
            "origin": each.origin,
            "cost": each.cost,
            "parameter": each.parameter,
        }
        for each in KINDS.values()
    ]


def systems_for(names: Sequence[str], policy: Policy) -> tuple[System, ...]:
    """Returns the systems by name, each once, in the order given.

    Args:
        names: Of `SYSTEMS`, with a parameter after a colon where one may follow; `all` for all of
            them; or policies' names or paths.
        policy: The policy that the built-in systems are made from.

    Raises:
        PolicyError: A name is neither a system nor a policy.
        SettingsError: A parameter is not accepted.
    """
    given = [name.strip() for name in names if name.strip()]
    unique = dict.fromkeys(each for name in given for each in (KINDS if name == EVERY else (name,)))
    if not unique:
        raise PolicyError(
            f"no systems are given: accepted are {', '.join(SYSTEMS)}, {EVERY}, or policies"
        )
    return tuple(_system(name, policy) for name in unique)


def _system(name: str, policy: Policy) -> System:
    stem, _, parameter = name.partition(":")
    if name in KINDS:
        return KINDS[name].make(name, policy)
    if stem in KINDS and KINDS[stem].parameter:
        return KINDS[stem].make(name, policy, parameter)
    if stem in KINDS:
        raise PolicyError(f"system {stem!r} takes no parameter: {name!r} is not accepted")
    try:
        return System(name, load_policy(name), "enforce")
    except PolicyError as error:
        if name in str(error) and "there is no policy named" in str(error):
            raise PolicyError(
                f"{name!r} is neither a system nor a policy{did_you_mean(name, SYSTEMS)}: accepted "
                f"are {', '.join(SYSTEMS)}, {EVERY}, a policy's name, or a path ending in .yaml"
            ) from error
        raise
