"""From a conversation to model inputs, in which a request cannot speak for the template.

User text, tool calls and results, and policy questions are data: control tokens and picture
placeholders spelled in them reach the model as plain characters (see `control`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

from torch import Tensor

from guardrail.backends.transformers.adapter import Adapter
from guardrail.backends.transformers.control import ControlGuard
from guardrail.backends.transformers.placement import input_device
from guardrail.errors import MessageError, ModelError
from guardrail.request.conversation import Conversation, Picture, Turn

_ANSWER = "Yes"
"""Stands for an answer where nothing depends on what it says."""


@dataclass(frozen=True)
class JudgeSuffixes:
    """How judge prompts go on from an answer's prompt.

    Attributes:
        tail: The tokens with which the answer's prompt ends; everything before them is shared.
        questions: For each question, the tokens that follow the shared part.
    """

    tail: tuple[int, ...]
    questions: tuple[tuple[int, ...], ...]


class PromptEncoder:
    """Encodes conversations for one processor. Safe to share between threads.

    Args:
        processor: A Hugging Face processor (pictures and text).
        adapter: The family's quirks.
    """

    def __init__(self, processor: Any, adapter: Adapter | None = None) -> None:
        tokenizer = getattr(processor, "tokenizer", None)
        if tokenizer is None:
            raise ModelError(
                f"processor is a {type(processor).__name__}, which has no tokenizer of its own: "
                "expected the model's full processor, from AutoProcessor"
            )
        self.processor = processor
        self.tokenizer = tokenizer
        self._adapter = adapter or Adapter()
        self._lock = threading.Lock()  # fast tokenizers keep padding state on the object
        self._control = ControlGuard(processor)
        self._suffix = lru_cache(maxsize=256)(self.encode_piece)  # policies' words, no request's

    def render(self, conversation: Conversation) -> str:
        """Returns the prompt text, up to and including where the answer begins.

        Control strings in the conversation carry the mark.

        Raises:
            MessageError: The model's template cannot express the conversation.
        """
        with self._lock:
            turns = [self._guarded(turn) for turn in conversation.turns]
            tools = [self._control.guard_all(tool) for tool in conversation.tools]
        if self._adapter.render is not None:
            return self._adapter.render(turns, self.processor)
        if not getattr(self.processor, "chat_template", None):
            return _plain_transcript(turns, self.processor)
        options: dict[str, Any] = {}
        if tools:
            options["tools"] = tools
        try:
            text = self.processor.apply_chat_template(
                _template_messages(turns),
                tokenize=False,
                add_generation_prompt=True,
                **options,
            )
        except Exception as error:  # jinja's own errors, and whatever a template raises
            raise MessageError(
                f"the model's chat template refuses this conversation: {error}",
                reason="the model's chat template refuses this conversation",
            ) from error
        return str(text)

    def encode(self, conversations: Sequence[Conversation]) -> dict[str, Any]:
        """Returns model inputs for a batch, padded on the left, as CPU tensors.

        Raises:
            MessageError: The conversation cannot be expressed for this model.
        """
        if self._adapter.needs_picture and not all(one.pictures for one in conversations):
            raise MessageError("this model answers about pictures only: give at least one picture")
        texts = [self.render(conversation) for conversation in conversations]
        pictures = [[one.image for one in each.pictures] for each in conversations]
        encoded = self._process(texts, pictures)
        return self._control.without_marks(encoded)

    def judge_suffixes(
        self, conversation: Conversation, questions: Sequence[str]
    ) -> JudgeSuffixes | None:
        """Returns how judge prompts continue the answer's prompt, or None where they cannot.

        Args:
            conversation: The request.
            questions: Harm questions, each put after the last turn's own text.
        """
        if not self._adapter.shares_prefix:
            return None
        answer = self.render(conversation)
        suffixes: list[tuple[int, ...]] = []
        tail = ""
        for question in questions:
            asked = self.render(conversation.ask(question))
            with self._lock:
                guarded = self._control.guard(question)
            at = asked.rfind(guarded)
            tail = asked[at + len(guarded) :] if at >= 0 else ""
            stem = answer[: len(answer) - len(tail)]
            if at < 0 or not tail or not answer.endswith(tail) or not asked.startswith(stem):
                return None
            suffixes.append(self._suffix(asked[len(stem) :]))
        tail_ids = self._suffix(tail)
        return JudgeSuffixes(tail_ids, tuple(suffixes))

    def answer_suffixes(
        self, conversation: Conversation, questions: Sequence[str]
    ) -> tuple[tuple[int, ...], ...] | None:
        """Returns the tokens by which questions follow an answer's last one, or None where what
        comes before them is not the prompt and the answer as they were run.

        Args:
            conversation: The request.
            questions: Each put as a turn of its own after the answer.
        """
        if not self._adapter.shares_prefix:
            return None
        begun = self.render(conversation)
        found: list[tuple[int, ...]] = []
        for question in questions:
            asked = self.render(conversation.answered(_ANSWER).ask(question))
            answer, _, suffix = asked[len(begun) :].partition(_ANSWER)
            if not asked.startswith(begun) or answer.strip() or not suffix:  # a space is fine
                return None
            found.append(self._suffix(suffix))
        return tuple(found)

    def decode(self, token_ids: Sequence[int], *, keep: frozenset[int] = frozenset()) -> str:
        """Returns the text of generated tokens, without control tokens.

        Args:
            token_ids: Generated tokens.
            keep: Control tokens that are spelled all the same.
        """
        if keep:
            dropped = set(self.tokenizer.all_special_ids) - keep
            token_ids = [token for token in token_ids if token not in dropped]
        return str(
            self.tokenizer.decode(
                list(token_ids), skip_special_tokens=not keep, clean_up_tokenization_spaces=False
            )
        )

    def control_tokens(self, text: str) -> dict[str, int]:
        """Returns the control tokens that `text` holds, by what they spell."""
        special = zip(
            self.tokenizer.all_special_tokens, self.tokenizer.all_special_ids, strict=True
        )
        return {spelled: token for spelled, token in special if spelled and spelled in text}

    def label_ids(self, words: Sequence[str]) -> list[int]:
        """Returns the single tokens by which an answer that is one of `words` would begin."""
        ids: list[int] = []
        with self._lock:
            for word in words:
                for text in (word, f" {word}"):
                    encoded = self.tokenizer.encode(text, add_special_tokens=False)
                    spelled = self.tokenizer.decode(encoded[:1]).strip() if encoded else ""
                    if spelled == word and encoded[0] not in ids:
                        ids.append(encoded[0])
        return ids

    def tokens(self, text: str) -> list[int]:
        """Returns the tokens of a text as the tokenizer itself cuts it, no special ones added."""
        with self._lock:
            return list(self.tokenizer.encode(text, add_special_tokens=False))

    @cached_property
    def fragments(self) -> frozenset[int]:
        """The tokens of byte fallback (`<0x0A>`), which spell text only together."""
        known = self.tokenizer.get_vocab()
        names = (f"<0x{value:02X}>" for value in range(256))
        return frozenset(known[name] for name in names if name in known)

    @property
    def needs_picture(self) -> bool:
        """Whether the family cannot answer without a picture."""
        return self._adapter.needs_picture

    def first_ids(self, word: str) -> list[int]:
        """Returns the tokens with which `word` itself would begin an answer."""
        with self._lock:
            encoded = (
                self.tokenizer.encode(t, add_special_tokens=False) for t in (word, f" {word}")
            )
            return list(dict.fromkeys(ids[0] for ids in encoded if ids))

    def _process(self, texts: list[str], pictures: list[list[Any]]) -> Mapping[str, Any]:
        options: dict[str, Any] = {"padding": True, "padding_side": "left", "return_tensors": "pt"}
        starts = (self.tokenizer.bos_token, self.tokenizer.cls_token)
        if any(start is not None and texts[0].startswith(start) for start in starts):
            options["add_special_tokens"] = False  # the template has written them
        process = self._adapter.process or _process
        with self._lock:
            try:
                encoded = process(self.processor, texts, pictures, **options)
            except MessageError:
                raise
            except Exception as error:
                raise MessageError(
                    f"{type(self.processor).__name__} cannot encode this request: {error}",
                    reason=f"{type(self.processor).__name__} cannot encode this request",
                ) from error
        return {
            # Pictures that come in half precision are noised in full, and cast by `to_device`.
            name: value.float() if _is_half(value) else value
            for name, value in encoded.items()
            if name != "labels"
        }

    def encode_piece(self, text: str) -> tuple[int, ...]:
        """Tokens of a stretch from the middle of a prompt."""
        with self._lock:
            # After a line break, so that SentencePiece adds no space of its own.
            start = self.tokenizer.encode("\n", add_special_tokens=False)
            ids = self.tokenizer.encode("\n" + text, add_special_tokens=False)
            if not start or ids[: len(start)] != start:
                start, ids = [], self.tokenizer.encode(text, add_special_tokens=False)
        return self._control.without_mark(ids[len(start) :])

    def _guarded(self, turn: Turn) -> Turn:
        return replace(
            turn,
            parts=tuple(self._control.guard_parts(turn.parts)),
            tool_calls=tuple(self._control.guard_all(call) for call in turn.tool_calls),
        )


def _is_half(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.itemsize < 4


def to_device(inputs: Mapping[str, Any], model: Any) -> dict[str, Any]:
    """Returns inputs on the model's device, floating-point ones in the model's dtype."""
    device = input_device(model)
    return {
        name: value.to(device, model.dtype if value.is_floating_point() else None)
        if isinstance(value, Tensor)
        else value
        for name, value in inputs.items()
    }


def _process(
    processor: Any, texts: Sequence[str], pictures: Sequence[Sequence[Any]], **options: Any
) -> Mapping[str, Any]:
    if any(pictures):
        options["images"] = pictures
    encoded: Mapping[str, Any] = processor(text=texts, **options)
    return encoded


def _template_messages(turns: Sequence[Turn]) -> list[dict[str, Any]]:
    """Turns as chat templates take them.

    Calls are named anew, by nine letters and digits, since some templates insist on that.
    """
    messages: list[dict[str, Any]] = []
    open_calls: dict[str, dict[str, str]] = {}
    count = 0
    for turn in turns:
        message: dict[str, Any] = {"role": turn.role, "content": _content(turn)}
        if turn.tool_calls:
            message["tool_calls"] = []
        for at, call in enumerate(turn.tool_calls):
            name = f"call{count:05d}"
            known_by = (turn.call_ids[at] if turn.call_ids else "") or name
            open_calls[known_by] = {"tool_call_id": name, "name": call["name"]}
            message["tool_calls"].append({"id": name, "type": "function", "function": dict(call)})
            count += 1
        if turn.role == "tool" and open_calls:
            known_by = turn.call_ids[0] if turn.call_ids else next(iter(open_calls))
            message |= open_calls.pop(known_by, {})
        messages.append(message)
    return messages


def _content(turn: Turn) -> Any:
    if turn.role == "tool" and not turn.pictures:
        return "".join(part for part in turn.parts if isinstance(part, str))
    return [
        {"type": "image"} if isinstance(part, Picture) else {"type": "text", "text": part}
        for part in turn.parts
    ]


def _plain_transcript(turns: Sequence[Turn], processor: Any) -> str:
    """The prompt of processors without a chat template and without an adapter."""
    return "\n".join(_transcript_lines(turns, str(getattr(processor, "image_token", "") or "")))


def _transcript_lines(turns: Sequence[Turn], image_token: str) -> Iterator[str]:
    names = {"system": "SYSTEM", "user": "USER", "assistant": "ASSISTANT", "tool": "TOOL"}
    for turn in turns:
        parts = (image_token if isinstance(part, Picture) else part for part in turn.parts)
        yield f"{names[turn.role]}: " + " ".join(part for part in parts if part)
    yield "ASSISTANT:"
