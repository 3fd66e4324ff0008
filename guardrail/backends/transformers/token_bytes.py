"""What each token of a vocabulary spells, in bytes.

Refusal phrases are matched on bytes, so that every way a tokenizer may cut a phrase is the same
phrase. Read off the tokenizer's own decoder: byte-level BPE, SentencePiece with byte fallback, or
WordPiece.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

_BYTE_FALLBACK = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def token_bytes(tokenizer: Any) -> list[bytes | None]:
    """Returns, for each token id, the bytes that it spells; None for control tokens.

    Args:
        tokenizer: A Hugging Face tokenizer.
    """
    tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    added = {index: token.content for index, token in tokenizer.added_tokens_decoder.items()}
    special = set(tokenizer.all_special_ids)
    style = _style(tokenizer)
    spelled: list[bytes | None] = []
    for index, token in enumerate(tokens):
        if index in special or token is None:
            spelled.append(None)
        elif index in added:
            spelled.append(added[index].encode())
        else:
            spelled.append(_spell(token, style))
    return spelled


def _style(tokenizer: Any) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    decoder = ""
    if backend is not None:
        decoder = json.dumps(json.loads(backend.to_str()).get("decoder"))
    if "ByteLevel" in decoder:
        return "byte-level"
    if "WordPiece" in decoder:
        return "wordpiece"
    return "sentencepiece"


def _spell(token: str, style: str) -> bytes:
    if style == "byte-level":
        alphabet = _byte_level_alphabet()
        if all(character in alphabet for character in token):
            return bytes(alphabet[character] for character in token)
        return token.encode()
    if style == "wordpiece":
        return token[2:].encode() if token.startswith("##") else b" " + token.encode()
    if match := _BYTE_FALLBACK.fullmatch(token):
        return bytes([int(match[1], 16)])
    return token.replace("▁", " ").encode()


@cache
def _byte_level_alphabet() -> dict[str, int]:
    """Maps the printable stand-ins of byte-level BPE (GPT-2) back to bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    alphabet = {chr(byte): byte for byte in printable}
    others = (byte for byte in range(256) if byte not in set(printable))
    alphabet.update({chr(256 + at): byte for at, byte in enumerate(others)})
    return alphabet
