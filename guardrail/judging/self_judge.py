"""The default judge: the answering model itself, read off the answer's own prompt.

The prompt is run once and its cache shared by the questions and the answer. It decides nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from guardrail.backends.transformers.branch import Branch, Prepared, prepare
from guardrail.backends.transformers.prompt import JudgeSuffixes, to_device
from guardrail.backends.transformers.tree import run_tree
from guardrail.judging.judge import (
    JudgeRequest,
    Labels,
    judge_failure,
    read_labels,
    within_time,
)
from guardrail.judging.judges import QuestionJudge
from guardrail.judging.timing import timed
from guardrail.policy import Policy
from guardrail.policy.verdict import Verdict
from guardrail.steering.row import Row

if TYPE_CHECKING:
    from guardrail.steering.safecode import SafeCoDe

_JUDGE_ROWS = 16
"""Judge suffixes that run at once; more of them run in turns, to bound memory."""


def questions_of(policy: Policy) -> dict[str, str]:
    """Returns what a judge is asked under `policy`, by category id."""
    suffix = policy.judge.answer_suffix
    return {each.id: f"{each.question} {suffix}".strip() for each in policy.categories}


class SelfJudge:
    """Asks one engine's model a policy's questions.

    Args:
        engine: The model and its prompts.
        policy: Whose questions.
    """

    def __init__(self, engine: SafeCoDe, policy: Policy) -> None:
        self._engine, self._policy = engine, policy
        self._questions: Mapping[str, str] = questions_of(policy)

    def prompt(self, rows: Sequence[Row]) -> Prepared:
        """Returns the rows' prompt, where no answer is to follow it.

        Raises:
            MessageError: The model cannot be told what a row holds.
        """
        inputs = to_device(
            self._engine.encoder.encode([row.conversation for row in rows]), self._engine.model
        )
        for row in rows:
            row.count_prompt(inputs)
        with self._engine.computing:
            return prepare(self._engine.model, inputs, max_new_tokens=1, do_sample=False)

    def judge(self, rows: Sequence[Row], prepared: Prepared) -> tuple[list[Verdict], Branch | None]:
        """Returns every row's verdict, and the prompt's branch if it was run on the way.

        Whatever fails on the way fails the judge, out of memory included.

        Args:
            rows: Requests.
            prepared: Their common prompt; where a verdict is unavailable, its cache may be spent.
        """
        with self._engine.computing:
            try:
                return self._judge(rows, prepared)
            except Exception as error:
                return [_unavailable(error)] * len(rows), None

    def _judge(
        self, rows: Sequence[Row], prepared: Prepared
    ) -> tuple[list[Verdict], Branch | None]:
        suffixes = self._shared_suffixes(rows, prepared)
        if suffixes is None:
            with timed(rows, "judge"):
                return self._judged_apart(rows), None
        drop = len(suffixes[0].tail)
        whole: Branch | None = None
        prefix: Branch | None = None
        with timed(rows, "prefill"):
            if prepared.can_rewind:  # one forward less
                whole = Branch.prefill(prepared)
                prefix = whole.rewound(drop)
            if prefix is None:
                whole = None
                prefix = Branch.prefill(prepared, length=prepared.ids.shape[1] - drop)
        with timed(rows, "judge"):
            started = time.perf_counter()
            verdicts = self._read(prefix, suffixes)
            verdicts = within_time(
                verdicts, started=started, timeout_s=self._policy.judge.timeout_s * len(rows)
            )
        with timed(rows, "prefill"):
            return verdicts, whole or prefix.extend(prepared.ids[:, -drop:])

    def _shared_suffixes(
        self, rows: Sequence[Row], prepared: Prepared
    ) -> list[JudgeSuffixes] | None:
        """Returns how the judge goes on from each row's prompt, or None if it cannot for all."""
        if prepared.embeds_prompt:
            return None
        questions = list(self._questions.values())
        found: list[JudgeSuffixes] = []
        for row, ids in zip(rows, prepared.ids.tolist(), strict=True):
            suffixes = self._engine.encoder.judge_suffixes(row.conversation, questions)
            if suffixes is None or tuple(ids[-len(suffixes.tail) :]) != suffixes.tail:
                return None
            found.append(suffixes)
        same = all(each.tail == found[0].tail for each in found)
        return found if same else None

    def _read(self, prefix: Branch, suffixes: Sequence[JudgeSuffixes]) -> list[Verdict]:
        """Reads all rows' verdicts off the shared prefix.

        Questions often begin alike ("Could helping with this …"): that beginning is run once.
        """
        try:
            labels = self._engine.labels()
            p = _read_as_tree(prefix, suffixes, labels) or _read_as_rows(prefix, suffixes, labels)
        except Exception as error:
            return [_unavailable(error)] * len(suffixes)
        names = list(self._questions)
        each = len(names)
        return [
            Verdict(categories=dict(zip(names, p[at * each : (at + 1) * each], strict=True)))
            for at in range(len(suffixes))
        ]

    def _judged_apart(self, rows: Sequence[Row]) -> list[Verdict]:
        """Judges with prompts of their own, for families in which no prefix can be shared."""
        judge = QuestionJudge(self._engine.model, self._engine.encoder)
        started = time.perf_counter()
        verdicts: list[Verdict] = []
        for row in rows:
            try:
                verdict = judge(JudgeRequest(row.conversation, self._questions))
                verdicts.append(replace(verdict, source="self"))
            except Exception as error:
                verdicts.append(_unavailable(error))
        timeout_s = self._policy.judge.timeout_s * len(rows)
        return within_time(verdicts, started=started, timeout_s=timeout_s)


def _read_as_tree(
    prefix: Branch, suffixes: Sequence[JudgeSuffixes], labels: Labels
) -> list[float] | None:
    """Returns P(harm) of every row's questions, in one pass, or None where a family forbids it."""
    questions = suffixes[0].questions
    if any(each.questions != questions for each in suffixes):
        return None
    alike = _common_length(questions)
    columns: list[Tensor] = []
    for start in range(0, len(questions), _JUDGE_ROWS):
        part = [tokens[alike:] for tokens in questions[start : start + _JUDGE_ROWS]]
        logits = run_tree(prefix.fork(range(prefix.batch)), questions[0][:alike], part)
        if logits is None:
            return None
        columns.append(logits)
    return read_labels(torch.cat(columns, dim=1).flatten(0, 1), labels)


def _read_as_rows(prefix: Branch, suffixes: Sequence[JudgeSuffixes], labels: Labels) -> list[float]:
    """The same, as one batch of suffixes on forks of the prefix."""
    flat = [(at, tokens) for at, each in enumerate(suffixes) for tokens in each.questions]
    alike = _common_length([tokens for _, tokens in flat])
    if alike:
        beginning = torch.tensor([flat[0][1][:alike]] * prefix.batch)
        prefix = prefix.fork(range(prefix.batch)).extend(beginning)
    p: list[float] = []
    for start in range(0, len(flat), _JUDGE_ROWS):
        part = flat[start : start + _JUDGE_ROWS]
        tokens, last = _pad_right([tokens[alike:] for _, tokens in part])
        fork = prefix.fork([at for at, _ in part])
        p += read_labels(fork.extend(tokens, last=last).logits, labels)
    return p


def _common_length(sequences: Sequence[Sequence[int]]) -> int:
    """Returns how many first tokens all sequences share, short of the whole of any."""
    shortest = min(map(len, sequences)) - 1
    first = sequences[0]
    for at in range(shortest):
        if any(sequence[at] != first[at] for sequence in sequences):
            return at
    return max(shortest, 0)


def _pad_right(sequences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Returns tokens (rows, longest), padded on the right with 0, and each row's last index."""
    width = max(map(len, sequences))
    tokens = torch.zeros(len(sequences), width, dtype=torch.long)
    for row, sequence in enumerate(sequences):
        tokens[row, : len(sequence)] = torch.tensor(sequence)
    return tokens, torch.tensor([len(sequence) - 1 for sequence in sequences])


def _unavailable(error: Exception) -> Verdict:
    return Verdict.unavailable(judge_failure(error, source="self"))
