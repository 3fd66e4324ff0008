"""The seam between what guards a model and what runs it.

A `Backend` is a model that can be asked: for the probability of a word, for a short answer, or for
a `Run`, in which several requests are judged, steered and answered together. What is done to the
logits is decided above and written in no backend; how logits come about is known in no other place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from guardrail.backends.likelihood import Likelihood
from guardrail.backends.questions import Questions
from guardrail.backends.results import FinishReason, Reading, Taken
from guardrail.policy.terms import Counterfactual
from guardrail.request.call_format import CallFormat
from guardrail.request.conversation import Conversation
from guardrail.request.settings import GenerationSettings

Array = Any
"""Logits: a NumPy array or a torch tensor, float32."""

Phase = Callable[[str], AbstractContextManager[Any]]
"""Entered around a part of the work (`prefill`, `judge`), for the requests' timings."""


REFERENCE_FILE = "guardrail_reference.safetensors"
"""What a model's reference is called, in the folder of its weights."""


Constraint = Any
"""What an answer is held to; opaque to all but the backend that made it."""


Adjust = Callable[[Array, Sequence[int]], Array]
"""Returns other logits, (rows, candidates), given logits and the rows' places among those that were
kept."""


Stop = Callable[[], bool]
"""Asked while a model runs: whether it is to run no further."""


class Interrupted(Exception):
    """A run was stopped before it was done. Not an error: whoever stopped it knows why."""


class Run(Protocol):
    """Several requests on one model, from their prompts to their last tokens.

    Rows are numbered as the requests were given, also where `keep` has dropped some. Not
    thread-safe. `read`, `prefill` and `contrast_with` raise `Interrupted` once the run is to stop.
    """

    @property
    def input_tokens(self) -> Sequence[int]:
        """Prompt tokens of each request, pictures included, padding not; 0 while not known."""

    @property
    def guides(self) -> bool:
        """Whether single steps can be guided; where not, nothing but `read` and `rest` is asked."""

    @property
    def degraded(self) -> Sequence[str]:
        """What the backend cannot do, and what that means, a sentence each, for the record."""

    @property
    def shows_pictures(self) -> bool:
        """Whether its pictures can be noised."""

    def read(self, questions: Questions, phase: Phase) -> Reading:
        """Puts yes-or-no questions after each request; raises nothing but `Interrupted`."""

    def prefill(self, phase: Phase) -> None:
        """Runs the prompts, unless reading has done so."""

    def foresee(self, kind: Counterfactual, *, noise_std: float) -> None:
        """Is told, before anything is read, that `contrast_with` will be asked for the same.

        Who waits for others can have them begin.
        """

    def keep(self, rows: Sequence[int]) -> None:
        """Goes on with these rows alone, which stay in their order."""

    def contrast_with(
        self,
        kind: Counterfactual,
        *,
        noise_std: float,
        seed: int = 0,
        rows: Sequence[int] | None = None,
    ) -> Counterfactual:
        """Runs the same prompts with other pictures beside the real ones: the *noised* branch.

        Args:
            kind: What those pictures are: the real ones with noise (where the model sees them, or
                as they were given, before any resizing, cut off and rounded to 8 bits), grey, or of
                their own mean colour; always of the same size.
            noise_std: Standard deviation of Gaussian noise, in [0, 1] pixel units.
            seed: Mixed into each picture's own seed, for noise.
            rows: Of which requests it is wanted, of those that were kept; of all without it. The
                noised logits of others mean nothing.

        Returns:
            What they are: `photo-noise` for `noise`, where the model's own input cannot be reached.

        Raises:
            MemoryError: There is no room for them; the run goes on without.
        """

    @property
    def coverage(self) -> Sequence[float | None]:
        """Of each row, the probability of the candidates that are at hand; None where all are.

        With a noised branch, the lesser of both. As of the latest `logits`.
        """

    def reveal(self, tokens: Sequence[Sequence[int]]) -> None:
        """Has certain candidates be at hand at this step, if they can be had.

        Args:
            tokens: Of each row.
        """

    def logits(self) -> tuple[Array, Array | None]:
        """Returns next-token logits, real and (if there are any) noised: (rows, candidates)."""

    def ahead(self, rows: Sequence[int], tokens: Sequence[Sequence[int]]) -> Array:
        """Returns next-token logits of the real branch, had rows gone on with these tokens.

        The run stays where it is, and knows nothing of constraints there.

        Args:
            rows: Places among the rows of `logits`; one may be given several times.
            tokens: For each of them, all equally many, >= 1.

        Returns:
            (rows, candidates).

        Raises:
            MemoryError: There is no room for it; the run goes on without.
        """

    def knows(self, rows: Sequence[int], tokens: Sequence[Sequence[int]]) -> list[bool]:
        """Whether `ahead` of the same costs so little that a record is worth it."""

    def begin(self, constraints: Sequence[Constraint | None], *, seed: int | None) -> None:
        """Makes ready to decode.

        Args:
            constraints: One per row, None where any token may come.
            seed: Seeds sampling per row, so that a row decodes alike alone and in a batch. Without
                one, rows draw from fresh randomness.
        """

    def within(self, logits: Array) -> Array:
        """Returns logits in which what a row's constraint forbids is out of reach, and finite."""

    def choose(self, logits: Array) -> list[int]:
        """Returns each row's next token under the caller's own settings."""

    def peek(self, logits: Array) -> list[int]:
        """Returns what `choose` would, and leaves the rows' randomness as it is."""

    def likelihoods(self, logits: Array, tokens: Sequence[int]) -> list[Likelihood | None]:
        """Returns how likely tokens are that are about to be taken; None each where the settings
        want no log-probabilities.

        Args:
            logits: What they were chosen from, within reach.
            tokens: One per row.
        """

    def take(self, tokens: Sequence[int]) -> list[FinishReason | None]:
        """Makes these the rows' next tokens; returns why rows have finished, None where not."""

    def read_answers(
        self, rows: Sequence[int], said: Sequence[str], questions: Questions
    ) -> Reading:
        """Puts yes-or-no questions after what has been taken of some rows' answers.

        The answers go on as if nobody had asked. Raises nothing but `Interrupted`.

        Args:
            rows: Their places among those that were kept; they have not finished before the latest
                tokens.
            said: What each of them has said so far.
            questions: Of every row.
        """

    def release(self, row: int) -> None:
        """Is told that nobody wants any more of a row.

        Args:
            row: Its place among those that were kept.
        """

    def advance(self, *, noised: bool) -> None:
        """Runs the model on what was taken; without `noised`, the noised rows are dropped."""

    @property
    def steers_on(self) -> bool:
        """Whether `rest` adjusts what rows are chosen from."""

    def rest(self, adjust: Adjust | None = None) -> Iterator[Taken]:
        """Decodes on until every row has finished; yields what each row takes.

        Args:
            adjust: What rows are chosen from is as this makes it, where `steers_on`; nowhere else
                is it called.
        """

    def close(self) -> None:
        """Ends what the model still does for the run; nothing is asked of it afterwards."""


class Backend(Protocol):
    """A model that can be judged by, steered and asked. Safe to use from several threads."""

    @property
    def name(self) -> str:
        """The model's name, for records."""

    @property
    def needs_picture(self) -> bool:
        """Whether the model cannot answer without a picture."""

    @property
    def reference(self) -> Path | None:
        """The file that comes with the model and says what requests it was tried on, if any."""

    def start(
        self,
        conversations: Sequence[Conversation],
        settings: GenerationSettings,
        *,
        stop: Stop | None = None,
    ) -> Run:
        """Encodes requests that run together.

        Args:
            conversations: The requests.
            settings: The same for all.
            stop: Asked while the model runs, so that a cancelled run computes no further.

        Raises:
            GuardrailError: The model cannot be told what one of them holds, or its context does not
                take so much; nothing has been judged or answered.
            Interrupted: It was stopped.
        """

    def resolved(self, settings: GenerationSettings) -> GenerationSettings:
        """Returns settings with what the model's own configuration adds to them."""

    @property
    def at_once(self) -> int:
        """How many requests of several callers are best started together; 1 leaves them apart."""

    def groups(self, conversations: Sequence[Conversation]) -> list[list[int]]:
        """Returns which requests may run together, so that each is as it would be alone."""

    def count(self, conversation: Conversation) -> int:
        """Returns how many tokens a conversation's prompt has, pictures and tools included.

        Raises:
            GuardrailError: The model cannot be told what it holds.
        """

    def vocabulary(self, texts: Sequence[str] = ()) -> Sequence[bytes | None]:
        """Returns the bytes that each token id spells, None for control tokens.

        Args:
            texts: Whose tokens are to be in it, where it is only being seen, and grows.
        """

    def fragments(self) -> frozenset[int]:
        """Returns the tokens that stand for single bytes, of which a run is decoded as a whole."""

    def tokens(self, text: str) -> list[int]:
        """Returns the tokens that the model's own tokenizer makes of a text, none added to them."""

    def decode(self, token_ids: Sequence[int], *, keep: frozenset[int] = frozenset()) -> str:
        """Returns the text of generated tokens, of control tokens only those in `keep`."""

    def spell(self, token_ids: Sequence[int]) -> str:
        """Returns what tokens spell, control tokens included."""

    def control_tokens(self, text: str) -> dict[str, int]:
        """Returns the control tokens that `text` holds, by what they spell."""

    def prompt_ends(self, conversation: Conversation, ends: Sequence[str]) -> bool:
        """Whether a request's prompt is known to end with one of these, white space aside."""

    def call_format(self) -> CallFormat:
        """Returns how this model writes tool calls.

        Raises:
            ModelError: It takes no tools, or writes calls in an unknown form.
        """

    def constraint(self, conversation: Conversation) -> Constraint | None:
        """Returns what the answer to a conversation is held to, or None where it is free.

        Raises:
            GuardrailError: The form demanded cannot be had of this model.
        """

    def p_yes(self, conversations: Sequence[Conversation]) -> list[float]:
        """Returns P(yes) of each conversation's answer, of yes and no.

        Raises:
            JudgeError: It would be neither.
        """

    def p_word(self, conversation: Conversation, word: str, other: str) -> float:
        """Returns P(word) of the answer's first word, of these two.

        Raises:
            JudgeError: It would be neither.
        """

    def say(self, conversation: Conversation, *, max_new_tokens: int) -> str:
        """Returns a short greedy answer, unguarded."""
