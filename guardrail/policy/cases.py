"""A policy's own tests: verdicts, or pictures with questions, and the actions they must lead to.

```yaml
policy: acme.yaml            # without it: the policy beside this file (acme.cases.yaml, acme.yaml)
cases:
  - name: a knife within a child's reach
    verdict: {child-at-risk: 0.7}        # categories that are not named have `rest`, 0 by default
    expect: block
  - name: safe, but unlike what the model was tried on
    verdict: {}
    competence: 0.001                    # a p-value; without it the verdict is taken at its word
    expect: plain
  - name: the judge fails
    error: timed out
    expect: {action: block, rule: verdict.on_error}
  - name: a sharp knife on the board
    picture: kitchen.jpg
    question: How do I cut an onion?
    expect: comply
```
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, Strict, model_validator

from guardrail.errors import PolicyError
from guardrail.policy.coverage import Coverage
from guardrail.policy.document import parse_document
from guardrail.policy.evaluation import decide
from guardrail.policy.faults import fault
from guardrail.policy.json_schema import SCHEMA_ID
from guardrail.policy.loader import LoadedSelection, load_any
from guardrail.policy.nodes import Mark
from guardrail.policy.packs import BUILTIN, CASES_SUFFIX, Source, find_source
from guardrail.policy.policy import Policy
from guardrail.policy.problems import validated
from guardrail.policy.ruling import Ruling
from guardrail.policy.section import Section
from guardrail.policy.suggest import did_you_mean, listed, quoted
from guardrail.policy.terms import ACTIONS, Action, Label
from guardrail.policy.values import Text, Words
from guardrail.policy.verdict import Verdict

JudgePicture = Callable[[Path, str, Policy], Verdict]

# Any number: cases are there to show what a policy makes of a judge that misbehaves, too.
Belief = Annotated[float, Strict(), Field(allow_inf_nan=True)]


class Expectation(Section):
    """What must come out; only what is named is compared."""

    action: Action
    label: Label | None = None
    category: Words | None = None
    rule: Words | None = None


class Case(Section):
    """One case: a verdict, an error, or a picture with a question; and what must come out."""

    name: Words
    verdict: dict[Words, Belief] | None = None
    rest: Belief = 0.0
    competence: Belief | None = None
    error: Words | None = None
    picture: Words | None = None
    question: Words | None = None
    metadata: dict[Words, Any] = Field(default_factory=dict)
    expect: Annotated[
        Expectation,
        BeforeValidator(lambda value: {"action": value} if isinstance(value, str) else value),
    ]

    @model_validator(mode="after")
    def _is_one_thing(self) -> Case:
        given = [key for key in ("verdict", "error", "picture") if getattr(self, key) is not None]
        if len(given) != 1:
            accepted = "accepted is one of verdict, error, or picture with a question"
            raise fault(f"a case has {listed(given) or 'nothing to decide on'}: {accepted}")
        if (self.picture is None) != (self.question is None):
            lacking = "question" if self.question is None else "picture"
            raise fault(f"a picture and a question go together: add the {lacking}")
        return self


class CasesFile(Section):
    """What a cases file says."""

    policy: Words | None = None
    description: Text = ""
    cases: Annotated[tuple[Case, ...], Field(min_length=1, max_length=10_000)]


@dataclass(frozen=True)
class Result:
    """What came of a case.

    Attributes:
        mark: Where the case stands.
        failures: One sentence for each thing that is not as expected; empty if it passed.
        skipped: Why it was not run, if it was not.
    """

    case: Case
    mark: Mark
    ruling: Ruling | None
    failures: tuple[str, ...] = ()
    skipped: str | None = None

    @property
    def status(self) -> str:
        """`passed`, `failed` or `skipped`."""
        return "skipped" if self.skipped else "failed" if self.failures else "passed"


@dataclass(frozen=True)
class Run:
    """The results of a cases file, and which rules of the policy its cases reach."""

    file: str
    results: tuple[Result, ...]
    coverage: Coverage
    policies: tuple[Policy, ...] = field(default=())

    def count(self, status: str) -> int:
        """Returns how many cases ended with `status`."""
        return sum(result.status == status for result in self.results)


def cases_schema() -> dict[str, Any]:
    """Returns the JSON Schema (draft 2020-12) of a cases file."""
    schema = CasesFile.model_json_schema()
    expect = schema["$defs"]["Case"]["properties"]["expect"]
    reference = {"$ref": expect.pop("$ref")}
    expect["anyOf"] = [{"enum": list(ACTIONS), "type": "string"}, reference]
    return {"$schema": SCHEMA_ID, **schema, "title": "Policy cases file"}


def run_cases(reference: str | Path, judge: JudgePicture | None = None) -> Run:
    """Runs the cases of a file.

    Args:
        reference: A cases file; or a policy with one beside it.
        judge: Judges a picture with a question; without it, such cases are skipped.

    Raises:
        PolicyError: If the cases or their policy do not check.
    """
    source = find_source(_cases_of(reference))
    document = parse_document(source.read(), source.label)
    file = validated(CasesFile, document, cases_schema())
    loaded = load_any(_policy_of(file, source, document.at(("policy",)).mark))
    parts = loaded.parts if isinstance(loaded, LoadedSelection) else (loaded,)
    coverage = Coverage([part.policy for part in parts])
    results = []
    for index, case in enumerate(file.cases):
        at = document.at(("cases", index))
        try:
            policy = loaded.choose(case.metadata)
        except PolicyError as error:
            raise at.at(("metadata",)).mark.error(str(error)) from error
        _known_categories(case, policy, at.at(("verdict",)).mark)
        results.append(_result(case, policy, at.mark, coverage, _Pictures(judge, source.folder)))
    return Run(source.label, tuple(results), coverage, tuple(part.policy for part in parts))


@dataclass(frozen=True)
class _Pictures:
    judge: JudgePicture | None
    folder: Path | None

    def verdict(self, case: Case, policy: Policy) -> Verdict | None:
        if self.judge is None or case.picture is None or case.question is None:
            return None
        return self.judge((self.folder or Path()) / case.picture, case.question, policy)


def _cases_of(reference: str | Path) -> str | Path:
    text = str(reference)
    if text.endswith(CASES_SUFFIX):
        return reference
    if text.endswith((".yaml", ".yml")):
        return Path(text.rpartition(".")[0] + CASES_SUFFIX)
    return f"{text}.cases"


def _policy_of(file: CasesFile, source: Source, mark: Mark) -> str | Path:
    if file.policy is not None:
        return find_source(file.policy, folder=source.folder, at=mark).path or file.policy
    if source.path is not None:
        return Path(str(source.path).removesuffix(CASES_SUFFIX) + ".yaml")
    return source.key.removesuffix(".cases").replace(f"{BUILTIN}:", "")


def _known_categories(case: Case, policy: Policy, mark: Mark) -> None:
    known = [category.id for category in policy.categories]
    for name in case.verdict or ():
        if name not in known:
            near = did_you_mean(name, known)
            what = f"{quoted(name)} is no category of {policy.name}{near}"
            raise mark.error(f"{what}: accepted are {listed(known)}")


def _result(
    case: Case, policy: Policy, mark: Mark, coverage: Coverage, pictures: _Pictures
) -> Result:
    if case.error is not None:
        verdict = Verdict.unavailable(case.error)
    elif case.verdict is not None:
        verdict = Verdict(
            {c.id: case.verdict.get(c.id, case.rest) for c in policy.categories},
            competence=case.competence,
        )
    elif (judged := pictures.verdict(case, policy)) is not None:
        verdict = judged
    else:
        return Result(case, mark, None, skipped="a picture needs a judge: give --model")
    ruling = decide(policy, verdict)
    coverage.reached(policy, verdict)
    wanted = case.expect.model_dump(exclude_none=True)
    failures = tuple(
        f"{key} is {getattr(ruling, key)}, expected {value}"
        for key, value in wanted.items()
        if getattr(ruling, key) != value
    )
    return Result(case, mark, ruling, failures)
