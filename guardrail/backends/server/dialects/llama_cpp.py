"""llama.cpp's server: https://github.com/ggml-org/llama.cpp, `tools/server`."""

from __future__ import annotations

from guardrail.backends.server.dialect import CONTINUED, Dialect

LLAMA_CPP = Dialect(
    "llama.cpp",
    most_logprobs=100,
    most_revealed=10_000,
    continuing=CONTINUED,
    sampling={"top_k": 0, "top_p": 1.0, "min_p": 0.0},
    tokens_path="/tokenize",
    text_path="/detokenize",
    owner="llamacpp",
    source="run",
)
