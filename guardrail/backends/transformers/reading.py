"""Questions read off an answer's own prompt: it is run once, its cache shared by all of them.

It decides nothing, and does not know what is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from guardrail.backends.backend import Interrupted, Phase, Run
from guardrail.backends.questions import Questions
from guardrail.backends.results import Reading
from guardrail.backends.transformers.branch import Branch, Prepared
from guardrail.backends.transformers.labels import Labels, read_labels
from guardrail.backends.transformers.prompt import JudgeSuffixes, PromptEncoder
from guardrail.backends.transformers.tree import run_tree
from guardrail.errors import JudgeError
from guardrail.request.conversation import Conversation
from guardrail.request.settings import ONE_TOKEN, GenerationSettings

_JUDGE_ROWS = 16
"""Judge suffixes that run at once; more of them run in turns, to bound memory."""


@dataclass(frozen=True)
class PromptReader:
    """Reads questions for one model.

    Attributes:
        encoder: Its prompts.
        labels: Returns the tokens of yes and no, or raises where there are none.
        p_yes: Returns P(yes) of prompts of their own.
        start: Starts a run of requests.
    """

    encoder: PromptEncoder
    labels: Callable[[], Labels]
    p_yes: Callable[[Sequence[Conversation]], list[float]]
    start: Callable[[Sequence[Conversation], GenerationSettings], Run]

    def read(
        self,
        conversations: Sequence[Conversation],
        prepared: Prepared,
        questions: Questions,
        phase: Phase,
        *,
        context: int | None,
        clock: Callable[[], float],
    ) -> tuple[Reading, Branch | None]:
        """Returns what is read, and the prompt's branch if it was run on the way.

        Args:
            conversations: Requests.
            prepared: Their common prompt; where reading raises, its cache may be spent.
            questions: Of every request.
            phase: Entered around running the prompt and around reading.
            context: Tokens that the model's context takes; a question that goes beyond it is not
                put. None sets no limit.
            clock: Tells the seconds that reading takes.

        Raises:
            JudgeError: A question would go beyond the context.
        """
        suffixes = self._shared_suffixes(conversations, prepared, questions.all)
        if suffixes is None:
            with phase("judge"):
                return self._read_apart(conversations, questions, clock), None
        drop = len(suffixes[0].tail)
        longest = max(len(tokens) for each in suffixes for tokens in each.questions)
        check_room(prepared.ids.shape[1] - drop + longest, context)
        whole: Branch | None = None
        prefix: Branch | None = None
        with phase("prefill"):
            if prepared.can_rewind:  # one forward less
                whole = Branch.prefill(prepared)
                prefix = whole.rewound(drop)
            if prefix is None:
                whole = None
                prefix = Branch.prefill(prepared, length=prepared.ids.shape[1] - drop)
        with phase("judge"):
            started = clock()
            rows = self.read_shared(prefix, suffixes, questions)
            reading = Reading(rows, clock() - started)
        with phase("prefill"):
            return reading, whole or prefix.extend(prepared.ids[:, -drop:])

    def _shared_suffixes(
        self, conversations: Sequence[Conversation], prepared: Prepared, questions: Sequence[str]
    ) -> list[JudgeSuffixes] | None:
        """Returns how questions go on from each prompt, or None if they cannot for all."""
        if prepared.embeds_prompt:
            return None
        found: list[JudgeSuffixes] = []
        for conversation, ids in zip(conversations, prepared.ids.tolist(), strict=True):
            suffixes = self.encoder.judge_suffixes(conversation, questions)
            if suffixes is None or tuple(ids[-len(suffixes.tail) :]) != suffixes.tail:
                return None
            found.append(suffixes)
        same = all(each.tail == found[0].tail for each in found)
        return found if same else None

    def read_shared(
        self, prefix: Branch, suffixes: Sequence[JudgeSuffixes], questions: Questions
    ) -> Sequence[Sequence[float] | Exception]:
        """Reads rows' questions off the shared prefix.

        Args:
            prefix: A row for each request; unchanged.
            suffixes: How all questions go on from each row.
            questions: They, in their stages.
        """
        stage = len(questions.first)
        try:
            labels = self.labels()
            first = [each.questions[:stage] for each in suffixes]
            rows = _read(prefix, first, labels)
            some = questions.going_on(rows)
            if some:
                then = [suffixes[row].questions[stage:] for row in some]
                part = prefix if len(some) == len(rows) else prefix.fork(some)
                for row, p in zip(some, _read(part, then, labels), strict=True):
                    rows[row] += p
        except Interrupted:
            raise
        except Exception as error:
            return [error] * len(suffixes)
        return rows

    def read_anew(
        self, conversation: Conversation, questions: Questions
    ) -> Sequence[float] | Exception:
        """Reads questions off a conversation that has to be run for that; or why it cannot be."""
        try:
            with closing(self.start([conversation], ONE_TOKEN)) as run:
                [found] = run.read(questions, lambda _: nullcontext()).rows
        except Interrupted:
            raise
        except Exception as error:
            return error
        return found

    def _read_apart(
        self,
        conversations: Sequence[Conversation],
        questions: Questions,
        clock: Callable[[], float],
    ) -> Reading:
        """Reads off prompts of their own, for families in which no prefix can be shared."""
        started = clock()
        rows: list[Sequence[float] | Exception] = []
        for conversation in conversations:
            try:
                rows.append(questions.put(partial(self._p_yes, conversation)))
            except Interrupted:
                raise
            except Exception as error:
                rows.append(error)
        return Reading(rows, clock() - started)

    def _p_yes(self, conversation: Conversation, questions: Sequence[str]) -> list[float]:
        return self.p_yes([conversation.ask(text) for text in questions])


def check_room(tokens: int, context: int | None) -> None:
    """Raises `JudgeError` if so many tokens go beyond the context."""
    if context is not None and tokens > context:
        raise JudgeError(
            f"the prompt and the judge's question have {tokens:,} tokens, more than the "
            f"{context:,} that this model's context takes"
        )


Suffixes = Sequence[tuple[int, ...]]
"""Of each of a row's questions, the tokens that follow what is shared."""


def _read(prefix: Branch, suffixes: Sequence[Suffixes], labels: Labels) -> list[list[float]]:
    """Returns P(yes) of every row's questions, equally many.

    Questions often begin alike ("Could helping with this …"): that beginning is run once.
    """
    p = _read_as_tree(prefix, suffixes, labels) or _read_as_rows(prefix, suffixes, labels)
    each = len(suffixes[0])
    return [p[at * each : (at + 1) * each] for at in range(len(suffixes))]


def _read_as_tree(
    prefix: Branch, suffixes: Sequence[Suffixes], labels: Labels
) -> list[float] | None:
    """Returns P(yes) of every row's questions, in one pass, or None where a family forbids it."""
    questions = suffixes[0]
    if any(each != questions for each in suffixes):
        return None
    alike = _common_length(questions)
    columns: list[Tensor] = []
    for start in range(0, len(questions), _JUDGE_ROWS):
        part = [tokens[alike:] for tokens in questions[start : start + _JUDGE_ROWS]]
        logits = run_tree(prefix, questions[0][:alike], part)
        if logits is None:
            return None
        columns.append(logits)
    return read_labels(torch.cat(columns, dim=1).flatten(0, 1), labels)


def _read_as_rows(prefix: Branch, suffixes: Sequence[Suffixes], labels: Labels) -> list[float]:
    """The same, as one batch of suffixes on forks of the prefix."""
    flat = [(at, tokens) for at, each in enumerate(suffixes) for tokens in each]
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
