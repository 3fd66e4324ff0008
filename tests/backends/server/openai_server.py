"""A small OpenAI-compatible server around a model in this process, with real log-probabilities."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from guardrail.backends.arrays import log_softmax
from guardrail.backends.transformers.backend import TransformersBackend
from guardrail.request.answer_form import AnswerForm
from guardrail.request.call_reader import CallReader
from guardrail.request.conversation import Conversation, Picture, Turn
from guardrail.request.delta import ToolCall
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
        self.pictures: dict[str, Picture] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answers a request."""
        path = request.url.path
        if request.method == "GET":
            models = {"data": [{"id": "embedded", "owned_by": "vllm"}]}
            return httpx.Response(200 if path.endswith("/models") else 404, json=models)
        body = json.loads(request.read() or b"{}")
        if path == "/tokenize":
            return httpx.Response(200, json={"tokens": self.backend.tokens(body["prompt"])})
        if path == "/detokenize":
            return httpx.Response(200, json={"prompt": self.backend.spell(body["tokens"])})
        self.requests.append(body)
        if path.endswith("/chat/completions"):
            return self._chat(body)
        return httpx.Response(404, json={"error": {"message": "there is no such path"}})

    def _chat(self, body: Mapping[str, Any]) -> httpx.Response:
        try:
            turns = [self._turn(each) for each in body["messages"]]
        except KeyError:
            return httpx.Response(400, json={"error": {"message": "there is no such picture"}})
        begun = ""
        if body.get("continue_final_message"):
            begun = turns.pop().text
        tokens = self.backend.tokens(begun) if begun else []
        settings = GenerationSettings(max_new_tokens=body["max_tokens"] + len(tokens))
        asked = Conversation(tuple(turns), tuple(body.get("tools", ())), _form(body))
        run = self.backend.start([asked], replace(settings, temperature=0))
        run.prefill(lambda _: nullcontext())
        steps = self._steps(run, tokens, body, self.backend.constraint(asked))
        count = run.input_tokens[0] + len(tokens)
        if body.get("stream"):
            called = asked.tools and body["tool_choice"] != "none"
            said = [*steps]
            usage = {"prompt_tokens": count, "completion_tokens": len(said)}
            at_once = body["stream_options"].get("continuous_usage_stats")
            beside = {"usage": usage} if at_once else {}
            told: Iterator[Any] = (self._event(each, bool(body.get("logprobs"))) for each in said)
            if called:
                told = self._called(asked, said)
            told = ({**each, **beside} for each in told)
            events = [*told, {"choices": [], "usage": usage}, "[DONE]"]
            lines = "".join(
                f"data: {each if isinstance(each, str) else json.dumps(each)}\n\n"
                for each in events
            )
            return httpx.Response(200, text=lines, headers={"content-type": "text/event-stream"})
        said = [*steps]
        text = self.backend.decode([each["id"] for each in said])
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "logprobs": {"content": said} if body.get("logprobs") else None,
            "finish_reason": said[-1]["done"],
        }
        usage = {"prompt_tokens": count, "completion_tokens": len(said)}
        return httpx.Response(200, json={"choices": [choice], "usage": usage})

    def _turn(self, message: Mapping[str, Any]) -> Turn:
        content = message["content"]
        calls = tuple(
            {"name": e["function"]["name"], "arguments": json.loads(e["function"]["arguments"])}
            for e in message.get("tool_calls", ())
        )
        if isinstance(content, str):
            return Turn(message["role"], (content,) if content else (), calls)
        parts: list[str | Picture] = [
            part["text"] if part["type"] == "text" else self._picture(part) for part in content
        ]
        return Turn(message["role"], tuple(parts))

    def _picture(self, part: Mapping[str, Any]) -> Picture:
        """Returns a picture; one that is sent beside a name is kept by it."""
        name = part.get("uuid", "")
        if part["image_url"] is None:
            return self.pictures[name]
        picture = load_picture(part["image_url"]["url"])
        if name:
            self.pictures[name] = picture
        return picture

    def _steps(
        self, run: Any, tokens: Sequence[int], body: Mapping[str, Any], constraint: Any
    ) -> Iterator[dict[str, Any]]:
        """Yields what is told of each new token."""
        run.begin([constraint], seed=0)
        for token in tokens:
            run.take([token])
            run.advance(noised=False)
        named = partial(self._named, ids=bool(body.get("return_tokens_as_token_ids")))
        for made in range(body["max_tokens"]):
            logits = run.within(run.logits()[0])
            log_p = log_softmax(logits[0])
            [token] = run.choose(logits)
            [reason] = run.take([token])
            most = min(body.get("top_logprobs") or 1, len(log_p))
            best = log_p.topk(most).indices.tolist()
            shown = body.get("logprob_token_ids", best)  # in their place, as vLLM does
            done = reason if reason == "stop" else None
            done = done or ("length" if made + 1 == body["max_tokens"] else None)
            yield {
                **named(token),
                "logprob": float(log_p[token]),
                "top_logprobs": [{**named(at), "logprob": float(log_p[at])} for at in shown],
                "id": token,
                "done": done,
            }
            if done:
                return
            run.advance(noised=False)

    def _event(self, step: Mapping[str, Any], shown: bool) -> dict[str, Any]:
        delta = {"content": self.backend.decode([step["id"]])}
        choice = {"delta": delta, "finish_reason": step["done"], "token_ids": [step["id"]]}
        if shown:
            choice["logprobs"] = {"content": [step]}
        return {"choices": [choice]}

    def _called(self, asked: Conversation, steps: Sequence[Mapping[str, Any]]) -> Iterator[Any]:
        """Yields an answer's events with its calls taken out of the text, in pieces."""
        names = [each["function"]["name"] for each in asked.tools]
        reader = CallReader(self.backend.call_format(), names)
        format_ = self.backend.control_tokens(self.backend.call_format().written)
        text = self.backend.decode([e["id"] for e in steps], keep=frozenset(format_.values()))
        calls = 0
        for delta in [*reader.push(text), *reader.finish()]:
            if isinstance(delta.call, ToolCall):
                arguments = json.dumps(delta.call.arguments)
                for function in (
                    {"name": delta.call.name, "arguments": ""},
                    {"arguments": arguments[:5]},
                    {"arguments": arguments[5:]},
                ):
                    piece = {"index": calls, "function": function}
                    yield {"choices": [{"delta": {"tool_calls": [piece]}}]}
                calls += 1
            elif delta.text:
                yield {"choices": [{"delta": {"content": delta.text}}]}
        done = "tool_calls" if calls else steps[-1]["done"]
        yield {"choices": [{"delta": {}, "finish_reason": done}]}

    def _named(self, token: int, *, ids: bool) -> dict[str, Any]:
        if ids:
            return {"token": f"token_id:{token}"}
        spelled = self.backend.vocabulary()[token]
        written = spelled if spelled is not None else self.backend.spell([token]).encode()
        return {"token": written.decode(errors="replace"), "bytes": list(written)}


def _form(body: Mapping[str, Any]) -> AnswerForm:
    choice, parallel = body.get("tool_choice"), body.get("parallel_tool_calls")
    form = AnswerForm(parallel=parallel)
    if choice == "required":
        form = AnswerForm("forced", parallel=parallel)
    elif isinstance(choice, dict):
        form = AnswerForm("forced", choice["function"]["name"], parallel)
    if "response_format" in body:
        form = replace(form, schema=body["response_format"]["json_schema"]["schema"])
    return form


@contextmanager
def served(transport: httpx.BaseTransport) -> Iterator[str]:
    """Yields the URL, up to and with `/v1`, at which a transport's answers are served.

    Once the block is left it is down: connections that were kept end with it.
    """
    connections: list[socket.socket] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            connections.append(self.connection)

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            sent = self.rfile.read(int(self.headers.get("content-length", 0)))
            url = f"http://model.test{self.path}"
            found = transport.handle_request(httpx.Request(self.command, url, content=sent))
            body = found.read()
            self.send_response(found.status_code)
            self.send_header("content-type", found.headers.get("content-type", "text/plain"))
            self.send_header("content-length", str(len(body)))
            if "retry-after" in found.headers:
                self.send_header("retry-after", found.headers["retry-after"])
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
