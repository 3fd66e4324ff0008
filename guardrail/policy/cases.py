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
  - name: the answer turns to poison
    answer: {medical: 0.8}               # a reading of the answer so far, for a policy that watches
    expect: {watch: replace}
  - name: it is over, and doubtful
    answer: {medical: 0.5}
    last: true                           # the reading is that of the whole answer
    expect: {watch: replace, label: uncertain}
```
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from guardrail.policy.nodes import Mark, Node
from guardrail.policy.packs import BUILTIN, CASES_SUFFIX, Source, find_source
from guardrail.policy.policy import Policy
from guardrail.policy.problems import validated
from guardrail.policy.ruling import Ruling, WatchRuling
from guardrail.policy.section import Section
from guardrail.policy.suggest import did_you_mean, listed, quoted
from guardrail.policy.terms import ACTIONS, Act, Action, Label
from guardrail.policy.values import Flag, Text, Words
from guardrail.policy.verdict import Verdict
from guardrail.policy.watching import decide_reading

JudgePicture = Callable[[Path, str, Policy], Verdict]

# Any number: cases are there to show what a policy makes of a judge that misbehaves, too.
Belief = Annotated[float, Strict(), Field(allow_inf_nan=True)]


class Expectation(Section):
    """What must come out; only what is named is compared.

    Attributes:
        action: Of a request.
        watch: What is done after a reading of the answer so far.
        label: What the verdict, or the reading, is labelled.
        category: The category that decides.
        rule: The rule that decides, by its path in the policy.
    """

    action: Action | None = None
    watch: Act | None = None
    label: Label | None = None
    category: Words | None = None
    rule: Words | None = None


class Case(Section):
    """One case: a verdict, an error, a picture with a question, or a reading of the answer so far;
    and what must come out.

    Attributes:
        name: What the case is about; a report names it.
        verdict: The judge's probabilities, by category.
        answer: The probabilities of a reading of the answer so far, by category.
        last: Whether that answer is over.
        rest: The probability of every category that is not named.
        competence: How competent the judge is for this request; without it, its verdict is taken
            at its word.
        error: The judge failed, for this reason.
        picture: A picture, relative to the cases file, for a model to judge with the `question`.
        question: What is asked about the picture.
        metadata: The request's metadata, where the policy is a selection.
        expect: The action that must come out, or a map of what must.
    """

    name: Words
    verdict: dict[Words, Belief] | None = None
    answer: dict[Words, Belief] | None = None
    last: Flag = False
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
        things = ("verdict", "error", "picture", "answer")
        given = [key for key in things if getattr(self, key) is not None]
        if len(given) != 1:
            accepted = "accepted is one of verdict, error, picture with a question, or answer"
            raise fault(f"a case has {listed(given) or 'nothing to decide on'}: {accepted}")
        if (self.picture is None) != (self.question is None):
            lacking = "question" if self.question is None else "picture"
            raise fault(f"a picture and a question go together: add the {lacking}")
        wanted, other = ("watch", "action") if given == ["answer"] else ("action", "watch")
        if getattr(self.expect, wanted) is None or getattr(self.expect, other) is not None:
            what = f"a case with {'an answer' if wanted == 'watch' else given[0]}"
            raise fault(f"{what} expects {wanted}, and not {other}", "expect")
        if self.last and self.answer is None:
            raise fault("last is about a reading: add the answer", "last")
        return self


class CasesFile(Section):
    """What a cases file says.

    Attributes:
        policy: The policy that is tested, by name or path; without it the one beside this file.
        description: What the cases are for; nothing is done with it.
        cases: The cases, each by itself.
    """

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
    ruling: Ruling | WatchRuling | None
    failures: tuple[str, ...] = ()
    skipped: str | None = None

    @property
    def done(self) -> str | None:
        """The action or the act that came out; None if the case was not run."""
        if isinstance(self.ruling, WatchRuling):
            return self.ruling.act
        return self.ruling.action if self.ruling else None

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

    @property
    def shows_nothing(self) -> bool:
        """Whether not one case was run, so that nothing is known of the policy."""
        return self.count("skipped") == len(self.results)


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
    file = validated(CasesFile, document, cases_schema)
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
        _known_categories(case, policy, at)
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


def _known_categories(case: Case, policy: Policy, at: Node) -> None:
    known = [category.id for category in policy.categories]
    for name in case.verdict or case.answer or ():
        if name not in known:
            mark = at.at(("verdict" if case.verdict else "answer",)).mark
            near = did_you_mean(name, known)
            what = f"{quoted(name)} is no category of {policy.name}{near}"
            raise mark.error(f"{what}: accepted are {listed(known)}")


def _result(
    case: Case, policy: Policy, mark: Mark, coverage: Coverage, pictures: _Pictures
) -> Result:
    if case.answer is not None:
        return _read(case, case.answer, policy, mark, coverage)
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
    return Result(case, mark, ruling, _failures(case, ruling))


def _read(
    case: Case, answer: Mapping[str, float], policy: Policy, mark: Mark, coverage: Coverage
) -> Result:
    verdict = Verdict({c.id: answer.get(c.id, case.rest) for c in policy.categories})
    ruling = decide_reading(policy, verdict, last=case.last)
    if policy.watch.is_off:
        why = f"{policy.name} does not watch the answer, expected {case.expect.watch}"
        return Result(case, mark, ruling, (why,))
    coverage.read(policy, verdict, last=case.last)
    return Result(case, mark, ruling, _failures(case, ruling))


def _failures(case: Case, ruling: Ruling | WatchRuling) -> tuple[str, ...]:
    wanted = case.expect.model_dump(exclude_none=True)
    found = {key: getattr(ruling, "act" if key == "watch" else key) for key in wanted}
    return tuple(
        f"{key} is {found[key]}, expected {value}"
        for key, value in wanted.items()
        if found[key] != value
    )
