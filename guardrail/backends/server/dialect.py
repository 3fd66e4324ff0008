"""What differs from server to server, in a few words each.

Others are found through the entry-point group `guardrail.servers`: an object of this class.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_CONTROL = re.compile(rb"<[|\xef].*[|\x9c]>|<(/?s|pad|unk|bos|eos|end_of_turn|start_of_turn)>|")


@dataclass(frozen=True)
class Dialect:
    """How one kind of server is asked.

    Attributes:
        name: As it is called on the command line and in records.
        most_logprobs: How many of the likeliest tokens it shows.
        continuing: What a request says for its last message to be the beginning of the answer; None
            where the server cannot go on with one.
        telling_ids: What a request says for tokens to be told by the server's own numbers.
        names_tokens: Whether it shows the log-probabilities of tokens that are asked for by number.
        sampling: What a request says for the server to add nothing of its own to how tokens are
            drawn.
        tokens_path: Where it tells what tokens a text has; empty where it does not.
        text_path: Where it tells what text tokens have; empty where it does not.
        owner: What it says of its models, that they are `owned_by`; empty where that tells nothing.
        sign: A path that only such servers have; empty without one.
        control: Matches, whole, what control tokens are written as.
        source: What it rests on: `run` (tests run the server itself) or `documentation`.
    """

    name: str
    most_logprobs: int = 20
    continuing: Mapping[str, Any] | None = None
    telling_ids: Mapping[str, Any] = field(default_factory=dict)
    names_tokens: bool = False
    sampling: Mapping[str, Any] = field(default_factory=dict)
    tokens_path: str = ""
    text_path: str = ""
    owner: str = ""
    sign: str = ""
    control: re.Pattern[bytes] = field(default=_CONTROL)
    source: str = "documentation"

    def is_control(self, written: bytes) -> bool:
        """Whether a token is no text: it ends an answer."""
        return self.control.fullmatch(written) is not None


CONTINUED: Mapping[str, Any] = {"continue_final_message": True, "add_generation_prompt": False}
PLAIN = Dialect("openai")
VLLM = Dialect(
    "vllm",
    continuing=CONTINUED,
    telling_ids={"return_tokens_as_token_ids": True, "return_token_ids": True},
    names_tokens=True,
    tokens_path="/tokenize",
    text_path="/detokenize",
    owner="vllm",
    source="run",
)
SGLANG = Dialect("sglang", continuing={"continue_final_message": True}, owner="sglang")
LLAMA_CPP = Dialect(
    "llama.cpp",
    most_logprobs=100,
    continuing=CONTINUED,
    sampling={"top_k": 0, "top_p": 1.0, "min_p": 0.0},
    tokens_path="/tokenize",
    text_path="/detokenize",
    owner="llamacpp",
    source="run",
)
OLLAMA = Dialect("ollama", continuing={}, sign="/api/version")
DIALECTS = (VLLM, SGLANG, LLAMA_CPP, OLLAMA)
"""Those that are known here, as they are looked for."""
