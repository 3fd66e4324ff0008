"""A decision without words: what a log may keep of it where content is not captured.

Tokens are words of the answer, which may repeat the request; a judge's failure may quote it. What
the policy itself says (refusal phrases, category ids) stays readable, everything else becomes a
keyed digest. Whatever is not known to be harmless is taken for words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set

from guardrail.policy import Policy
from guardrail.policy.terms import MEASURED
from guardrail.policy.verdict import Verdict
from guardrail.record.decision import Candidate, Decision, StepRecord, WatchRecord
from guardrail.record.keys import AuditKey
from guardrail.record.memory import reading_again, ruling_again

_HARMLESS = re.compile(
    r"(the judge took longer than [0-9.e+]+ s"
    r"|the judge took [0-9.]+ s, longer than [0-9.e+]+ s"
    r"|the judge took too long [0-9]+ times in a row: it is asked again in [0-9]+ s"
    r"|[0-9]+ calls of the judge are still running past their time: it is not asked again before "
    r"one of them ends"
    r"|the prompt and the judge's question have [0-9,]+ tokens, more than the [0-9,]+ that this "
    r"model's context takes"
    r"|the judge failed: [A-Z]\w{0,60}(Error|Exception|Timeout|Interrupt|Exit|Iteration)"
    r"|(the judge failed: )?(Picture|Message|Settings|Model)Error: ([^'\"\n]|(?<=\w)'(?=\w)){1,400}"
    r"|(the judge failed: )?the judge's logits are not finite"
    r"|(the judge failed: )?the judge answers neither yes nor no( \(together [0-9.e+-]+\))?"
    r"|(the judge failed: )?the tokenizer has no single tokens that tell yes from no"
    r"|the model describes the scene with no word"
    r"|the chat model did not fill in a probability for every category"
    r"|ShieldGemma 2 judges pictures, and there is none"
    r"|the server shows no log-probabilities: verdicts are yes or no, unweighed"
    r"|the server (cannot go on with an answer|holds the answer to its tools or its form): nothing "
    r"is steered, and what is to be refused is refused in the policy's words"
    r"|this answer cannot be steered in its middle: the policy's words end it"
    r"|the verdict could not be recorded"
    r"|the judge gave a Verdict that cannot be read, expected probabilities by category"
    r"|the approval of request [0-9a-f]{32} was not honoured: [^'\"\n]{1,200}"
    r"|the session memory failed: [A-Z]\w{0,60}"
    r"|(competence was not measured: )?the reference (has [0-9]+ (requests|descriptions), too few "
    r"for a p of [0-9.e+-]+|names token [0-9]+, and the model has [0-9]+ tokens)"
    r"|competence was not measured: [A-Z]\w{0,60}(Error|Exception)"
    r"|out of memory in the noised branch: contrast was dropped"
    r"|the audit log could not be written"
    r"|the policy decided to refuse: the (tool call was held back|answer was not held to its form)"
    r"|a tool call is not (valid JSON|a JSON object with a name and arguments)"
    r"|a tool call names no tool that was given"
    r"|a tool call's arguments are not a JSON object"
    r"|a further tool call, where parallel_tool_calls is false"
    r"|the answer ended in the middle of a tool call"
    r"|[A-Z]\w{0,60}(Error|Exception|Interrupt|Exit)"
    r"|[A-Z]\w{0,60}Escalation)"
)
_EVIDENCE = frozenset().union(*MEASURED.values())
_WORD = re.compile(r"\w+|[^\w\s]")
_SHOWN = 8


class Redaction:
    """Takes the words out of decisions made under one policy.

    Args:
        policy: Whose words may stay.
        key: Makes the digests.
    """

    def __init__(self, policy: Policy, key: AuditKey) -> None:
        self._policy, self._key = policy, key
        self._known = _vocabulary(policy.phrases)
        self._categories = {rule.id for rule in policy.rules}

    def without_words(self, decision: Decision) -> Decision:
        """Returns `decision` with everything that may be words of the request digested."""
        verdict = decision.verdict
        categories = self._named(verdict.categories, self._categories)
        evidence = self._named(verdict.evidence, _EVIDENCE)
        error = self._message(verdict.error)
        errors = [self._message(each) or "" for each in decision.errors]
        reasons = self._reasons(
            decision,
            Verdict(categories, error=error, competence=verdict.competence, evidence=evidence),
            [error, *errors],
        )
        return decision.model_copy(
            update={
                "verdict": verdict.model_copy(
                    update={
                        "categories": categories,
                        "error": error,
                        "evidence": evidence,
                        "screened": self._screened(verdict.screened),
                    }
                ),
                "errors": errors,
                "reasons": reasons,
                "steps": [self._step(step) for step in decision.steps],
                "watch": [self._reading(decision, each) for each in decision.watch],
            }
        )

    def _reading(self, decision: Decision, reading: WatchRecord) -> WatchRecord:
        categories = self._named(reading.categories, self._categories)
        error = self._message(reading.error)
        ruling = reading_again(self._policy, Verdict(categories, error=error), reading, decision)
        return reading.model_copy(
            update={
                "categories": categories,
                "error": error,
                "screened": self._screened(reading.screened),
                "reasons": self._kept(reading.reasons, frozenset(ruling.reasons)),
            }
        )

    def _step(self, step: StepRecord) -> StepRecord:
        return step.model_copy(
            update={
                "token": self._token(step.token),
                "token_unguarded": self._token(step.token_unguarded),
                "top": [self._candidate(each) for each in step.top],
            }
        )

    def _candidate(self, candidate: Candidate) -> Candidate:
        return candidate.model_copy(update={"token": self._token(candidate.token)})

    def _token(self, token: str) -> str:
        return token if token.strip() in self._known else self._digested(token)

    def _screened(self, given: Iterable[str]) -> list[str]:
        return [name if name in self._categories else self._digested(name) for name in given]

    def _named(self, given: Mapping[str, float], known: Set[str]) -> dict[str, float]:
        return {
            name if name in known else self._digested(name): found for name, found in given.items()
        }

    def _message(self, message: str | None) -> str | None:
        if message is None or _HARMLESS.fullmatch(message):
            return message
        return f"not recorded ({self._digested(message)})"

    def _reasons(
        self, decision: Decision, verdict: Verdict, errors: Iterable[str | None]
    ) -> list[str]:
        """Keeps the reasons that the policy gives without having seen the words."""
        verdicts = [verdict, *(Verdict.unavailable(each) for each in errors if each)]
        rulings = [ruling_again(self._policy, each, decision) for each in verdicts]
        harmless = frozenset(reason for ruling in rulings for reason in ruling.reasons)
        return self._kept(decision.reasons, harmless)

    def _kept(self, reasons: Iterable[str], harmless: Set[str]) -> list[str]:
        return [
            reason if reason in harmless else f"not recorded ({self._digested(reason)})"
            for reason in reasons
        ]

    def _digested(self, words: str) -> str:
        return "#" + self._key.digest(words.encode("utf-8", "surrogatepass"))[:_SHOWN]


def _vocabulary(phrases: Iterable[str]) -> frozenset[str]:
    """The words that refusals are made of, and the beginnings and ends by which tokens cut them."""
    words = {piece for phrase in phrases for piece in _WORD.findall(phrase)}
    words |= {word for phrase in phrases for word in phrase.split()}
    words |= {f"{mark}{word}" for word in words for mark in "'’"}
    cased = words | {word.lower() for word in words} | {word.capitalize() for word in words}
    return frozenset(cased | {"", ".", ",", "!", "?", "'", "’"})
