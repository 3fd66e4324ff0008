"""A small OpenAI-compatible server around a model in this process, with real log-probabilities."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import httpx

from guardrail.backends.arrays import log_softmax
from guardrail.backends.transformers.backend import TransformersBackend
from guardrail.request.conversation import Conversation, Picture, Turn
from guardrail.request.pictures import load_picture
from guardrail.request.settings import GenerationSettings


class OpenAIServer(httpx.BaseTransport):
    """Answers as a vLLM server would; a transport, so that no port is needed.

    Args:
        backend: Runs the model.
    """

    def __init__(self, backend: TransformersBackend) -> None:
        self.backend = backend
        self.requests: list[dict[str, Any]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answers a request."""
        if request.method == "GET" and request.url.path.endswith("/models"):
            return httpx.Response(200, json={"data": [{"id": "embedded", "owned_by": "vllm"}]})
        body = json.loads(request.read() or b"{}")
        self.requests.append(body)
        if request.url.path.endswith("/chat/completions"):
            return self._chat(body)
        return httpx.Response(404, json={"error": {"message": "there is no such path"}})

    def _chat(self, body: Mapping[str, Any]) -> httpx.Response:
        turns = [_turn(each) for each in body["messages"]]
        begun = ""
        if body.get("continue_final_message"):
            begun = turns.pop().text
        conversation = Conversation(tuple(turns))
        tokens = self.backend.tokens(begun) if begun else []
        most = body["max_tokens"] + len(tokens)
        settings = GenerationSettings(max_new_tokens=most, temperature=0)
        run = self.backend.start([conversation], settings)
        run.prefill(lambda _: nullcontext())
        count = run.input_tokens[0] + len(tokens)
        if body.get("stream"):
            events = [*self._events(run, tokens, body["max_tokens"]), "[DONE]"]
            lines = "".join(
                f"data: {each if isinstance(each, str) else json.dumps(each)}\n\n"
                for each in events
            )
            return httpx.Response(200, text=lines, headers={"content-type": "text/event-stream"})
        logits = run.ahead([0], [tokens])[0] if tokens else run.logits()[0][0]
        log_p = log_softmax(logits)
        best = log_p.topk(body["top_logprobs"])
        top = [self._entry(int(at), float(p)) for p, at in zip(*best, strict=True)]
        named = [self._entry(at, float(log_p[at])) for at in body.get("logprob_token_ids", ())]
        content = [{**top[0], "top_logprobs": top, "logprob_token_ids": named}]
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": top[0]["token"]},
            "logprobs": {"content": content},
            "finish_reason": "length",
        }
        usage = {"prompt_tokens": count, "completion_tokens": 1, "total_tokens": count + 1}
        return httpx.Response(200, json={"choices": [choice], "usage": usage})

    def _events(self, run: Any, tokens: Sequence[int], most: int) -> Iterator[Any]:
        run.begin([None], seed=0)
        for token in tokens:
            run.take([token])
            run.advance(noised=False)
        for made in range(most):
            [token] = run.choose(run.logits()[0])
            [reason] = run.take([token])
            text = self.backend.decode([token])
            done = reason if reason == "stop" else ("length" if made + 1 == most else None)
            yield {
                "choices": [
                    {
                        "delta": {"content": text},
                        "logprobs": {"content": [self._entry(token, 0.0)]},
                        "finish_reason": done,
                    }
                ]
            }
            if done:
                return
            run.advance(noised=False)

    def _entry(self, token: int, log_p: float) -> dict[str, Any]:
        spelled = self.backend.vocabulary()[token]
        written = spelled if spelled is not None else self.backend.spell([token]).encode()
        text = written.decode(errors="replace")
        return {"token": text, "bytes": list(written), "logprob": log_p}


def _turn(message: Mapping[str, Any]) -> Turn:
    content = message["content"]
    if isinstance(content, str):
        return Turn(message["role"], (content,))
    parts: list[str | Picture] = [
        part["text"] if part["type"] == "text" else load_picture(part["image_url"]["url"])
        for part in content
    ]
    return Turn(message["role"], tuple(parts))
