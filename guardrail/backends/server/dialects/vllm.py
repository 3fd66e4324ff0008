"""vLLM: https://docs.vllm.ai; what is said here was seen on 0.32."""

from __future__ import annotations

from guardrail.backends.server.dialect import CONTINUED, Dialect

VLLM = Dialect(
    "vllm",
    continuing=CONTINUED,
    telling_ids={"return_tokens_as_token_ids": True, "return_token_ids": True},
    names_tokens=True,
    names_pictures=True,
    batches=True,
    tokens_path="/tokenize",
    text_path="/detokenize",
    owner="vllm",
    source="run",
)
