"""A Hugging Face model in this process, as a backend. The model is never changed, patched or moved.

Everything that goes by the model's processor or vocabulary is worked out once and kept here.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from guardrail.backends.backend import REFERENCE_FILE, Stop
from guardrail.backends.transformers.adapter import Adapter, find_adapter
from guardrail.backends.transformers.branch import Branch, prepare
from guardrail.backends.transformers.context_limit import (
    check_length,
    context_length,
    prompt_lengths,
)
from guardrail.backends.transformers.grammar import Constraint, GrammarVocabulary
from guardrail.backends.transformers.interruption import interruptible
from guardrail.backends.transformers.labels import NO, YES, Labels, read_labels
from guardrail.backends.transformers.loading import load_model
from guardrail.backends.transformers.prompt import PromptEncoder, to_device
from guardrail.backends.transformers.reading import PromptReader
from guardrail.backends.transformers.run import TransformersRun
from guardrail.backends.transformers.self_check import STEPS, SelfCheck
from guardrail.backends.transformers.suitability import OWN_RUN, check_model
from guardrail.backends.transformers.together import Together
from guardrail.backends.transformers.token_bytes import token_bytes
from guardrail.errors import ModelError
from guardrail.request.answer_grammar import answer_grammar
from guardrail.request.call_format import CallFormat, derive_call_format
from guardrail.request.conversation import Conversation
from guardrail.request.settings import DEFAULT_MAX_NEW_TOKENS, ONE_TOKEN, GenerationSettings

AT_ONCE = 16
"""Requests of several callers that are started together, at most."""

MOST_BLANKS = 3
"""So many blank tokens may stand before the word that is asked for."""


class TransformersBackend:
    """See `guardrail.backends.Backend`. Safe to use from several threads.

    Args:
        model: A Hugging Face image-text-to-text model that decodes token by token.
        processor: Its processor.

    Raises:
        ModelError: The family cannot be guided, or the model not as it is: in train mode, with beam
            search in its generation config, ….
    """

    def __init__(self, model: Any, processor: Any) -> None:
        check_model(model)
        self.model = model
        self.processor = processor
        self.adapter: Adapter = find_adapter(model.config.model_type)
        self.encoder = PromptEncoder(processor, self.adapter)
        self._lock = threading.Lock()
        self._context = context_length(model.config)
        self._self_check = SelfCheck(model)
        # One thread computes at a time: some families keep state on the module meanwhile, and
        # threads that compute at once only slow each other (and an event loop) down.
        self.together = Together(lambda: not self._self_check.keeps_state)
        self._spelled: list[bytes | None] | None = None
        self._call_format: CallFormat | ModelError | None = None
        self._grammars: GrammarVocabulary | None = None

    @classmethod
    def load(cls, path_or_id: str | Path, **load_arguments: Any) -> TransformersBackend:
        """Loads a model and its processor; arguments as for `load_model`."""
        return cls(*load_model(path_or_id, **load_arguments))

    @property
    def name(self) -> str:
        """The name of the model's folder or id, or of its class."""
        name = str(getattr(self.model.config, "_name_or_path", "") or "")
        return Path(name).name if name else type(self.model).__name__

    @property
    def needs_picture(self) -> bool:
        """Whether the family cannot answer without a picture."""
        return self.encoder.needs_picture

    @property
    def reference(self) -> Path | None:
        """The reference in the folder of the model's weights, if it is a folder and has one."""
        folder = getattr(self.model.config, "_name_or_path", "")
        if not folder:  # made in memory; it is not of the working directory
            return None
        path = Path(str(folder)) / REFERENCE_FILE
        return path if path.is_file() else None

    @property
    def at_once(self) -> int:
        """So many prompts that what they need beside their rows' caches stays small; 1 where the
        model's own lengths count the padding that others cause.
        """
        own = self.model.generation_config
        return 1 if own.max_length or own.min_length else AT_ONCE

    def groups(self, conversations: Sequence[Conversation]) -> list[list[int]]:
        """Returns which requests may share a batch."""
        return self.adapter.batch_groups(conversations)

    def resolved(self, settings: GenerationSettings) -> GenerationSettings:
        """Returns settings with what the model's own generation config adds to them."""
        return settings.with_stops_of(self.model.generation_config)

    # Requests that are answered ----------------------------------------------------------------

    def start(
        self,
        conversations: Sequence[Conversation],
        settings: GenerationSettings,
        *,
        stop: Stop | None = None,
    ) -> TransformersRun:
        """Encodes requests that run together.

        Args:
            conversations: The requests.
            settings: The same for all.
            stop: Asked before every layer of a long pass.

        Raises:
            MessageError: The model cannot be told what one of them holds, or its context does not
                take so much.
            ModelError: Its cached steps are not what a full forward says (`self_check`).
            Interrupted: It was stopped while it was checked.
        """
        return TransformersRun(
            self.model,
            conversations,
            self._encoded(conversations, stop=stop),
            self._arguments(settings),
            stop=stop,
            context=self._context,
            reader=PromptReader(self.encoder, self.labels, self.p_yes, self.start),
            image_processor=getattr(self.processor, "image_processor", None),
            together=self.together,
            likeliest=settings.likeliest,
        )

    def call_format(self) -> CallFormat:
        """Returns how this model writes tool calls; read off its chat template once.

        Raises:
            ModelError: Its template does not take tools, or writes calls in an unknown form.
        """
        with self._lock:
            if self._call_format is None:
                try:
                    self._call_format = derive_call_format(self.encoder.render)
                except ModelError as error:
                    self._call_format = error
            if isinstance(self._call_format, ModelError):
                raise ModelError(str(self._call_format))
            return self._call_format

    def constraint(self, conversation: Conversation) -> Constraint | None:
        """Returns what the answer to a conversation is held to, or None where it is free.

        Raises:
            GuardrailError: The form demanded cannot be had of this model.
        """
        form = conversation.form
        if not form.constrains:
            return None
        written = self.call_format() if conversation.tools else None
        control = self.control_tokens(written.written) if written is not None else {}
        grammar = answer_grammar(form, conversation.tools, written, control)
        spelled = self.vocabulary()
        with self._lock:
            if self._grammars is None:
                self._grammars = GrammarVocabulary(spelled, self.encoder.encode_piece)
        return self._grammars.constraint(grammar)

    def _encoded(
        self, conversations: Sequence[Conversation], *, stop: Stop | None = None
    ) -> dict[str, Any]:
        """Returns inputs on the model's device: no longer than its context, and of a kind that the
        model is known to run right.
        """
        inputs = self.encoder.encode(conversations)
        longest = max(prompt_lengths(inputs))
        check_length(longest, self._context)
        inputs = to_device(inputs, self.model)
        # A prompt that fills the context leaves the check's steps no room: a later one is checked.
        if self._context is None or longest + STEPS <= self._context:
            with self.together.alone, interruptible(self.model, stop):
                self._self_check(inputs)
        return inputs

    def _arguments(self, settings: GenerationSettings) -> dict[str, Any]:
        arguments = settings.generate_arguments()
        own = self.model.generation_config
        lengths = (own.max_new_tokens, own.max_length, arguments.get("max_length"))
        if "max_new_tokens" not in arguments and not any(lengths):
            arguments["max_new_tokens"] = DEFAULT_MAX_NEW_TOKENS
        if settings.stop:
            arguments["stop_strings"] = list(settings.stop)
            arguments["tokenizer"] = self.encoder.tokenizer
        return arguments

    # The vocabulary ----------------------------------------------------------------------------

    def count(self, conversation: Conversation) -> int:
        """Returns how many tokens a conversation's prompt has."""
        [count] = self.start([conversation], ONE_TOKEN).input_tokens
        return count

    def vocabulary(self, texts: Sequence[str] = ()) -> list[bytes | None]:
        """Returns the bytes that each token id spells, None for control tokens."""
        with self._lock:
            if self._spelled is None:
                self._spelled = token_bytes(self.encoder.tokenizer)
            return self._spelled

    def fragments(self) -> frozenset[int]:
        """Returns the tokens that stand for single bytes, of which a run is decoded as a whole."""
        return self.encoder.fragments

    def decode(self, token_ids: Sequence[int], *, keep: frozenset[int] = frozenset()) -> str:
        """Returns the text of generated tokens, of control tokens only those in `keep`."""
        return self.encoder.decode(token_ids, keep=keep)

    def tokens(self, text: str) -> list[int]:
        """Returns the tokens that the tokenizer makes of a text, none added to them.

        Control tokens spelled in it are such: it is for texts of policies, not of requests.
        """
        return self.encoder.tokens(text)

    def spell(self, token_ids: Sequence[int]) -> str:
        """Returns what tokens spell, control tokens included."""
        return str(self.encoder.tokenizer.decode(list(token_ids)))

    def control_tokens(self, text: str) -> dict[str, int]:
        """Returns the control tokens that `text` holds, by what they spell."""
        return self.encoder.control_tokens(text)

    def prompt_ends(self, conversation: Conversation, ends: Sequence[str]) -> bool:
        """Whether a request's prompt ends with one of these, white space aside."""
        return self.encoder.render(conversation).rstrip().endswith(tuple(ends))

    def labels(self) -> Labels:
        """Returns the tokens by which an answer *yes* or *no* begins.

        Raises:
            JudgeError: This tokenizer has none.
        """
        return Labels(tuple(self.encoder.label_ids(YES)), tuple(self.encoder.label_ids(NO)))

    # Short questions ---------------------------------------------------------------------------

    def p_yes(self, conversations: Sequence[Conversation]) -> list[float]:
        """Returns P(yes) of each conversation's answer, of yes and no.

        Raises:
            JudgeError: It would be neither.
        """
        logits: dict[int, Tensor] = {}
        for group in self.groups(conversations):
            branch = self._prefilled([conversations[at] for at in group])
            logits.update(zip(group, branch.logits, strict=True))
        ordered = torch.stack([logits[at] for at in range(len(conversations))])
        return read_labels(ordered, self.labels())

    def p_word(self, conversation: Conversation, word: str, other: str) -> float:
        """Returns P(word) of the answer's first word, of these two.

        Where a template leaves the line breaks before the answer to the model, it is read after
        them.

        Raises:
            JudgeError: It would be neither.
        """
        labels = Labels(tuple(self.encoder.first_ids(word)), tuple(self.encoder.first_ids(other)))
        [p] = read_labels(self._first_word_logits(conversation), labels)
        return p

    def _first_word_logits(self, conversation: Conversation) -> Tensor:
        """Returns the logits of the first token that is not blank, (1, vocabulary) float32."""
        with self.together.alone:
            branch = self._prefilled([conversation], new_tokens=MOST_BLANKS + 1)
            for _ in range(MOST_BLANKS):
                likeliest = branch.logits.argmax(-1)  # (1,)
                said = self.decode(likeliest.tolist())
                if not said or said.strip():  # a control token is no text at all
                    break
                branch = branch.extend(likeliest[:, None])
            return branch.logits

    def _prefilled(self, conversations: Sequence[Conversation], *, new_tokens: int = 1) -> Branch:
        inputs = self._encoded(conversations)
        with self.together.alone:
            return Branch.prefill(
                prepare(self.model, inputs, max_new_tokens=new_tokens, do_sample=False)
            )

    def say(self, conversation: Conversation, *, max_new_tokens: int) -> str:
        """Returns a short greedy answer, unguarded."""
        inputs = self._encoded([conversation])
        greedy = {"max_new_tokens": max_new_tokens, "do_sample": False}
        with self.together.alone:
            prepared = prepare(self.model, inputs, **greedy)
            tokens = self.model.generate(**inputs, **greedy, **OWN_RUN)[0]
        start = 0 if prepared.embeds_prompt else prepared.ids.shape[1]
        return self.decode(tokens[start:].tolist())
