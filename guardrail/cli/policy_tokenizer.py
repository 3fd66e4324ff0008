"""A tokenizer for checking refusal phrases, read without transformers."""

from __future__ import annotations

from pathlib import Path

from guardrail.errors import PolicyError
from guardrail.policy.lint import Encode
from guardrail.policy.suggest import quoted


def encoder(path: Path) -> Encode:
    """Returns the encoder of a `tokenizer.json`, or of a model folder with one.

    Raises:
        PolicyError: If there is none, or it cannot be read.
    """
    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.is_file():
        raise PolicyError(
            f"there is no tokenizer at {quoted(str(file))}: accepted is tokenizer.json"
        )
    try:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the Rust library raises bare exceptions
        reason = quoted(str(error))
        raise PolicyError(f"cannot read the tokenizer {quoted(str(file))}: {reason}") from error
    return lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids)
