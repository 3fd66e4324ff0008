"""Control tokens and picture placeholders spelled in a request stay plain text.

Such a string is broken apart by a mark before the prompt is tokenized, and the mark's own tokens
are taken out afterwards, so that the model sees exactly the characters that were written, never the
token. Knows texts and token ids; nothing of conversations or templates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from guardrail.errors import MessageError, ModelError

_MARKS = ("\ue0f7", "\uf0a3", "ꙮ", "⍰", "☸", "齉", "龘", "♭", "ᵢ", "一", "ж", "þ")
"""Candidates for the mark: a tokenizer must spell it apart from its neighbours, without <unk>."""


class ControlGuard:
    """Takes apart what one processor would read as more than text.

    Not safe to share between threads: tokenizers are not. The caller holds a lock.

    Args:
        processor: A Hugging Face processor; all of its tokenizers count.

    Raises:
        ModelError: No character can be found that takes this tokenizer's control tokens apart.
    """

    def __init__(self, processor: Any) -> None:
        self._tokenizer = processor.tokenizer
        self._others = _other_tokenizers(processor)
        self._control = _control_strings(processor, self._tokenizer, *self._others.values())
        self._mark, self._mark_ids = self._choose_mark()

    def guard(self, text: str) -> str:
        """Returns `text` with a mark inside every control string.

        Raises:
            MessageError: A control token remains.
        """
        # First, so that taking the mark out cannot put a control string together.
        text = text.replace(self._mark, "")
        if not any(control in text for control in self._control):
            return text
        for control in self._control:  # longest first
            text = text.replace(control, control[0] + self._mark + control[1:])
        ids = self._tokenizer.encode(text, add_special_tokens=False)
        forged = set(ids) & self._control_ids()
        if forged:
            name = self._tokenizer.convert_ids_to_tokens(min(forged))
            raise MessageError(
                f"text spells the control token {name!r}, which cannot be written out"
            )
        return text

    def guard_parts(self, parts: Sequence[Any]) -> list[Any]:
        """Returns `parts`, which a template may put side by side, with every text in them guarded.

        Args:
            parts: Texts, and other things, which are left alone.
        """
        guarded = [self.guard(part) if isinstance(part, str) else part for part in parts]
        for at, (part, following) in enumerate(pairwise(guarded)):
            if isinstance(part, str) and isinstance(following, str):
                guarded[at] = part + self._between(part, following)
        return guarded

    def guard_all(self, value: Any) -> Any:
        """Returns `value`, as JSON holds it, with every text in it guarded, however deep."""
        if isinstance(value, str):
            return self.guard(value)
        if isinstance(value, Mapping):
            return {self.guard_all(key): self.guard_all(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.guard_all(item) for item in value]
        return value

    def without_mark(self, ids: Sequence[int]) -> tuple[int, ...]:
        """Returns `ids` without the mark's tokens."""
        return tuple(ids[at] for at in _positions_kept(ids, self._mark_ids))

    def without_marks(self, encoded: Mapping[str, Any]) -> dict[str, Any]:
        """Returns model inputs without the mark's tokens, every row padded on the left again."""
        of_others = {name for name in encoded if name.startswith(tuple(self._others))}
        own = {name: value for name, value in encoded.items() if name not in of_others}
        cleaned = {**encoded, **_cleaned(own, "", self._mark_ids, self._tokenizer.pad_token_id)}
        for prefix, tokenizer in self._others.items():
            theirs = {name: encoded[name] for name in of_others if name.startswith(prefix)}
            if f"{prefix}input_ids" in theirs:
                ids = _mark_ids(tokenizer, self._mark, ())
                cleaned |= _cleaned(theirs, prefix, ids, tokenizer.pad_token_id)
        return cleaned

    def _between(self, before: str, after: str) -> str:
        """Returns the mark if two neighbouring texts would make a control string, else nothing."""
        # Templates may trim the texts that they put side by side.
        joined = ((before, after), (before.rstrip(), after.lstrip()))
        forged = any(
            before.endswith(control[:cut]) and control.startswith(after[: len(control) - cut], cut)
            for before, after in joined
            for control in self._control
            for cut in range(1, len(control))
        )
        return self._mark if forged else ""

    def _control_ids(self) -> set[int]:
        known = self._tokenizer.get_added_vocab()
        return {known[text] for text in self._control if text in known}

    def _choose_mark(self) -> tuple[str, tuple[int, ...]]:
        for mark in _MARKS:
            found = _mark_ids(self._tokenizer, mark, self._control)
            if found and all(
                _mark_ids(each, mark, self._control) for each in self._others.values()
            ):
                return mark, found
        raise ModelError(
            "cannot find a character by which to take control tokens apart in user text"
        )


def _other_tokenizers(processor: Any) -> dict[str, Any]:
    """Further tokenizers that read the prompt (a Q-Former's), by the prefix of their inputs."""
    return {
        name.removesuffix("tokenizer"): value
        for name, value in vars(processor).items()
        if name.endswith("_tokenizer") and hasattr(value, "added_tokens_decoder")
    }


def _control_strings(processor: Any, *tokenizers: Any) -> tuple[str, ...]:
    """Strings that a tokenizer or processor would read as more than text, longest first."""
    found = {value for name, value in vars(processor).items() if name.endswith("_token") and value}
    for tokenizer in tokenizers:
        found |= {token.content for token in tokenizer.added_tokens_decoder.values()}
        found |= set(tokenizer.all_special_tokens) | _spelled_bytes(tokenizer)
    strings = {text for text in map(str, found) if len(text) > 1 and not text.isspace()}
    return tuple(sorted(strings, key=lambda text: (-len(text), text)))


def _spelled_bytes(tokenizer: Any) -> set[str]:
    """Byte pieces (`<0x04>`) that a tokenizer also reads where a text spells them out.

    Some families give such a byte a meaning: Fuyu begins its answers with one.
    """
    names = [f"<0x{value:02X}>" for value in range(256)]
    if tokenizer.convert_tokens_to_ids(names[4]) in (None, tokenizer.unk_token_id):
        return set()
    return {
        name
        for name in names
        if tokenizer.convert_tokens_to_ids(name) in tokenizer.encode(name, add_special_tokens=False)
    }


def _mark_ids(tokenizer: Any, mark: str, control: Sequence[str]) -> tuple[int, ...]:
    """Returns how `mark` is spelled, or nothing if it does not take all of `control` apart."""
    ids = tuple(tokenizer.encode(f"<{mark}i", add_special_tokens=False))
    left = tokenizer.encode("<", add_special_tokens=False)
    right = tokenizer.encode("<i", add_special_tokens=False)[len(left) :]
    inner = ids[len(left) : len(ids) - len(right)] if right else ids[len(left) :]
    if not inner or tokenizer.unk_token_id in inner:
        return ()
    for text in control:
        ids = tuple(tokenizer.encode(text[0] + mark + text[1:], add_special_tokens=False))
        if len(_positions_kept(ids, inner)) != len(ids) - len(inner):
            return ()
    return inner


def _cleaned(
    encoded: Mapping[str, Any], prefix: str, mark_ids: tuple[int, ...], padding: int | None
) -> dict[str, Any]:
    """Returns inputs whose `{prefix}input_ids`, and all that runs along them, hold no mark."""
    name = f"{prefix}input_ids"
    ids: Tensor = encoded[name]
    rows = [_positions_kept(row, mark_ids) for row in ids.tolist()]
    width = max(len(kept) for kept in rows)
    cleaned = dict(encoded)
    if width == ids.shape[1] and all(len(kept) == width for kept in rows):
        return cleaned
    for key, value in encoded.items():
        if isinstance(value, Tensor) and value.dim() >= 2 and value.shape[:2] == ids.shape:
            fill = (padding or 0) if key == name else 0
            cleaned[key] = torch.stack(
                [_repad(value[at], kept, width, fill) for at, kept in enumerate(rows)]
            )
    return cleaned


def _repad(row: Tensor, kept: Sequence[int], width: int, padding: int) -> Tensor:
    """Returns the kept positions of a row, padded on the left to `width`."""
    head = row.new_full((width - len(kept), *row.shape[1:]), padding)
    return torch.cat([head, row[list(kept)]])


def _positions_kept(ids: Sequence[int], mark_ids: Sequence[int]) -> list[int]:
    kept, at = [], 0
    while at < len(ids):
        if mark_ids and tuple(ids[at : at + len(mark_ids)]) == tuple(mark_ids):
            at += len(mark_ids)
        else:
            kept.append(at)
            at += 1
    return kept
