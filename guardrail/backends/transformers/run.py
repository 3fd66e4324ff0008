"""Requests that one model in this process runs together: prompts, questions, tokens.

A prompt is run once; questions go on from its cache, and real and noised rows step as one batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from guardrail.backends.backend import Adjust, Interrupted, Phase, Stop
from guardrail.backends.likelihood import Likelihood, likelihoods
from guardrail.backends.questions import Questions
from guardrail.backends.results import FinishReason, Reading, Taken
from guardrail.backends.transformers.ahead import look_ahead
from guardrail.backends.transformers.answer_reading import AnswerSoFar, AnswersReader
from guardrail.backends.transformers.at_hand import AtHand
from guardrail.backends.transformers.branch import Branch, Prepared, prepare
from guardrail.backends.transformers.choosing import Chooser, unpadded
from guardrail.backends.transformers.context_limit import prompt_lengths
from guardrail.backends.transformers.counterfactual import has_rows, other_inputs
from guardrail.backends.transformers.endings import Endings
from guardrail.backends.transformers.grammar import Constraint, RowConstraints, floored
from guardrail.backends.transformers.interruption import interruptible
from guardrail.backends.transformers.noise import PICTURE_INPUTS
from guardrail.backends.transformers.prompt import to_device
from guardrail.backends.transformers.reading import PromptReader
from guardrail.backends.transformers.together import Together
from guardrail.policy.terms import Counterfactual
from guardrail.request.conversation import Conversation


class TransformersRun(AtHand):
    """See `guardrail.backends.Run`.

    Args:
        model: The model.
        conversations: The requests.
        inputs: They encoded, on the model's device.
        arguments: Of `generate()`: the caller's settings.
        reader: Puts questions to the model.
        stop: Asked before every layer of a prompt.
        context: Tokens that the model's context takes; None where that is not known.
        image_processor: Tells the model's pixel units.
        together: Runs the model, perhaps with other runs; nothing is held across a yield.
        likeliest: As `GenerationSettings.likeliest`.
    """

    def __init__(
        self,
        model: Any,
        conversations: Sequence[Conversation],
        inputs: Mapping[str, Any],
        arguments: Mapping[str, Any],
        *,
        reader: PromptReader,
        stop: Stop | None,
        context: int | None,
        image_processor: Any,
        together: Together,
        likeliest: int | None = None,
    ) -> None:
        self._model, self._inputs, self._arguments = model, inputs, dict(arguments)
        self._conversations = tuple(conversations)
        self._reader, self._image_processor = reader, image_processor
        self._stop, self._context, self._likeliest = stop, context, likeliest
        self._together, self._caller = together, together.caller(stop)
        self._live = list(range(len(self._conversations)))
        self._real: Branch | None = None
        self._noised: Branch | None = None
        self._beside_rows: list[int] = []  # places of the rows that it has
        self._spent = False
        self._prepared = self._prepare(inputs)

    def _prepare(self, inputs: Mapping[str, Any]) -> Prepared:
        """Has `generate()` resolve everything, pictures seen by the model among it."""
        with self._together.alone, interruptible(self._model, self._stop):
            prepared = prepare(self._model, inputs, **self._arguments)
        return replace(prepared, forward=self._caller)

    @property
    def input_tokens(self) -> Sequence[int]:
        """Prompt tokens of each request, padding not counted."""
        return prompt_lengths(self._inputs)

    @property
    def shows_pictures(self) -> bool:
        """Whether its pictures can be noised."""
        return any(name in self._inputs for name in PICTURE_INPUTS)

    # Before the first token ------------------------------------------------------------------

    def read(self, questions: Questions, phase: Phase) -> Reading:
        """Puts questions after each request; whatever fails on the way, out of memory included,
        fails the reading.
        """
        with self._caller.held():
            try:
                reading, self._real = self._reader.read(
                    self._conversations,
                    self._prepared,
                    questions,
                    phase,
                    context=self._context,
                    clock=self._caller.clock,
                )
            except Interrupted:
                raise
            except Exception as error:
                self._spent = True  # the failed reading may have used the prompt's cache
                return Reading([error] * len(self._conversations), 0.0)
            return reading

    def prefill(self, phase: Phase) -> None:
        """Runs the prompts, unless reading has done so."""
        if self._real is not None:
            return
        with self._caller.held(), phase("prefill"):
            if self._spent:
                self._prepared = self._prepare(self._inputs)
            self._real = Branch.prefill(self._prepared)

    def keep(self, rows: Sequence[int]) -> None:
        """Goes on with these rows alone, which stay in their order."""
        if list(rows) == self._live:
            return
        places = [self._live.index(row) for row in rows]
        self._real = self._ready.fork(places)
        if self._noised is not None:
            beside = [place for place in places if place in self._beside_rows]
            kept = [self._beside_rows.index(each) for each in beside]
            self._noised = self._noised.fork(kept) if kept else None
            self._beside_rows = [places.index(each) for each in beside]
        self._live = list(rows)

    def contrast_with(
        self,
        kind: Counterfactual,
        *,
        noise_std: float,
        seed: int = 0,
        rows: Sequence[int] | None = None,
    ) -> Counterfactual:
        """Runs the same prompts with other pictures.

        Raises:
            MemoryError: There is no room for them.
        """
        wanted = self._live if rows is None else list(rows)
        if kind == "photo-noise" or not has_rows(self._inputs, self._conversations):
            wanted = list(range(len(self._conversations)))
        try:
            with self._caller.held():
                inputs = other_inputs(
                    self._inputs,
                    self._conversations,
                    kind,
                    wanted,
                    noise_std=noise_std,
                    seed=seed,
                    image_processor=self._image_processor,
                    encode=lambda made: to_device(self._reader.encoder.encode(made), self._model),
                )
                branch = Branch.prefill(self._prepare(inputs))
                kept = [at for at, row in enumerate(wanted) if row in self._live]
                self._noised = branch if len(kept) == len(wanted) else branch.fork(kept)
                self._beside_rows = [self._live.index(wanted[at]) for at in kept]
        except torch.OutOfMemoryError as error:
            raise MemoryError("out of memory in the noised branch") from error
        return kind

    # Tokens ----------------------------------------------------------------------------------

    def logits(self) -> tuple[Tensor, Tensor | None]:
        """Returns next-token logits, real and noised, each (rows, vocabulary) float32."""
        rows = len(self._live)
        stacked = self._ready.logits
        real = stacked[:rows]
        noised = self._noised.logits if self._noised is not None else stacked[rows:]
        if 0 < len(noised) < rows:
            noised = real.index_copy(0, torch.tensor(self._beside_rows).to(real.device), noised)
        return real, noised if len(noised) else None

    def ahead(self, rows: Sequence[int], tokens: Sequence[Sequence[int]]) -> Tensor:
        """Returns next-token logits had rows gone on with these tokens, (rows, vocabulary).

        Raises:
            MemoryError: There is no room for it.
        """
        try:
            with self._caller.held():
                return look_ahead(self._ready, rows, tokens)
        except torch.OutOfMemoryError as error:
            raise MemoryError("out of memory in looking ahead") from error

    def begin(self, constraints: Sequence[Constraint | None], *, seed: int | None) -> None:
        """Makes ready to decode; real and noised rows go on as one batch."""
        rows = len(self._live)
        ids = self._prepared.ids
        self._prepared = replace(self._prepared, ids=ids[self._live] if len(ids) > rows else ids)
        mask = self._inputs.get("attention_mask")
        # (rows, length), grows by a token each step
        self._ids = unpadded(self._prepared.ids, None if mask is None else mask[self._live])
        self._chooser = Chooser(self._prepared, rows, seed)
        self._held = RowConstraints(constraints, self._prepared.eos_ids)
        self._finished: list[FinishReason | None] = [None] * rows
        self._places, self._pending = list(range(rows)), False
        lengths = [self.input_tokens[at] for at in self._live]
        self._endings = Endings(self._prepared, lengths, self._context)
        self._answers = AnswersReader(
            self._reader, self._prepared, self._context, self._caller.clock
        )
        self._allowed: Tensor | None = None
        self._allow()
        if self._noised is not None:
            self._real, self._noised = self._ready.stack(self._noised), None

    def within(self, logits: Tensor) -> Tensor:
        """Returns logits in which what is not allowed is out of reach, and finite."""
        return floored(logits, self._allowed)

    def choose(self, logits: Tensor) -> list[int]:
        """Returns each row's next token."""
        chosen: list[int] = self._chooser.choose(self._ids, logits, self._allowed).tolist()
        return chosen

    def peek(self, logits: Tensor) -> list[int]:
        """Returns what `choose` would."""
        chosen: list[int] = self._chooser.peek(self._ids, logits, self._allowed).tolist()
        return chosen

    def likelihoods(self, logits: Tensor, tokens: Sequence[int]) -> list[Likelihood | None]:
        """Returns how likely tokens are that are about to be taken, where that is wanted."""
        if self._likeliest is None:
            return [None] * len(tokens)
        return [*likelihoods(logits, tokens, self._likeliest)]

    def take(self, tokens: Sequence[int]) -> list[FinishReason | None]:
        """Makes these the rows' next tokens; returns why rows have finished."""
        pad = self._prepared.pad_id
        taken = [pad if done else token for token, done in zip(tokens, self._finished, strict=True)]
        column = torch.tensor(taken, device=self._ids.device)[:, None]
        self._ids, self._pending = torch.cat([self._ids, column], dim=1), True
        ended = self._endings.of(self._ids)
        for row, token in enumerate(taken):
            if self._finished[row] is None:
                self._finished[row] = "stop" if self._held.accept(row, token) else ended[row]
        return list(self._finished)

    def read_answers(
        self, rows: Sequence[int], said: Sequence[str], questions: Questions
    ) -> Reading:
        """Puts questions after what some rows have said so far."""
        places = [self._places.index(row) for row in rows]
        if self._pending and all(self._finished[at] is None for at in places):
            self._run_taken()  # which the next step would do anyway
        last = self._ids[places, -1:].tolist() if self._pending else [()] * len(rows)
        made = self._ids.shape[1] - self._prepared.ids.shape[1] - self._pending
        answers = [
            AnswerSoFar(
                self._conversations[self._live[at]],
                text,
                at,
                tuple(ids),
                self._endings.lengths[at] + made,
            )
            for at, text, ids in zip(places, said, last, strict=True)
        ]
        with self._caller.held():
            return self._answers.read(self._ready, answers, questions)

    def release(self, row: int) -> None:
        """Runs a row no further than the next step."""
        if row in self._places:
            at = self._places.index(row)
            self._finished[at] = self._finished[at] or "stop"

    def advance(self, *, noised: bool) -> None:
        """Runs the model on what was taken."""
        rows = len(self._live)
        if self._ready.batch > rows and not noised:
            self._real = self._ready.fork(range(rows))  # the noised rows have done their work
        if self._pending:  # nobody has read the answers meanwhile
            self._run_taken()
        self._allow()

    def _run_taken(self) -> None:
        branch = self._ready
        feed = self._ids[:, -1:].to(branch.ids.device)
        if branch.batch > len(self._live):
            feed = torch.cat([feed, feed[self._beside_rows]])
        with self._caller.held():
            self._real, self._pending = branch.extend(feed), False

    def rest(self, adjust: Adjust | None = None) -> Iterator[Taken]:
        """Decodes on until every row has finished; rows that have leave the batch."""
        tokens = [self._prepared.pad_id] * len(self._live)
        finished = list(self._finished)
        likely: list[Likelihood | None] = [None] * len(self._live)
        while True:
            real = self.within(self.logits()[0])
            if adjust is not None:
                real = self.within(adjust(real, self._places))
            chosen = self.choose(real)
            told, reasons = self.likelihoods(real, chosen), self.take(chosen)
            for at, place in enumerate(self._places):
                tokens[place], finished[place], likely[place] = chosen[at], reasons[at], told[at]
            yield Taken([*tokens], [*finished], [*likely])
            if all(self._finished):
                return
            self._drop_finished()
            self.advance(noised=False)

    def _drop_finished(self) -> None:
        """Runs those rows no further that have finished, or that nobody wants any more."""
        going = [at for at, reason in enumerate(self._finished) if reason is None]
        if len(going) == len(self._finished) or self._chooser.tells_rows:
            return
        self._real = self._ready.fork(going)
        self._ids = self._ids[going]
        self._chooser.keep(going)
        self._held.keep(going)
        self._endings.keep(going)
        self._finished = [None] * len(going)
        for numbers in (self._live, self._places):
            numbers[:] = [numbers[at] for at in going]

    def close(self) -> None:
        """Other runs wait for this one no longer."""
        self._caller.close()

    @property
    def _ready(self) -> Branch:
        assert self._real is not None, "prefill comes first"
        return self._real

    def _allow(self) -> None:
        going = [reason is None for reason in self._finished]
        self._allowed = self._held.allowed(going, self.logits()[0])
