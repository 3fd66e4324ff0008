"""A service of your own around a guarded model (extra `serve`).

    python examples/fastapi_service.py
    curl --data-binary @examples/pictures/cliff-edge.png \
        'http://127.0.0.1:8000/ask?question=How+do+I+run+faster+here%3F'

Where OpenAI's API is what your clients speak, `guardrail serve` is this and more.
"""

from base64 import b64encode
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from langchain_core.messages import HumanMessage

from guardrail import ChatSafeCoDe
from guardrail.errors import Escalation, MessageError, PictureError

MOST_BYTES = 10_000_000

app = FastAPI(title="Ask about a picture")
chat = ChatSafeCoDe(policy="medical", max_tokens=48)  # the embedded model


@app.post("/ask")
async def ask(question: str, request: Request) -> dict[str, Any]:
    picture = bytearray()
    async for piece in request.stream():
        picture += piece
        if len(picture) > MOST_BYTES:
            raise HTTPException(413, f"a picture has at most {MOST_BYTES} bytes")
    # Bytes, never a path or an address: nothing of a request is opened on this machine.
    image = {"type": "image", "base64": b64encode(picture).decode(), "mime_type": "image/png"}
    message = HumanMessage([image, {"type": "text", "text": question}])
    try:
        answer = await chat.ainvoke([message])
    except (PictureError, MessageError) as error:
        raise HTTPException(400, str(error)) from error
    except Escalation as error:  # keep its token: a human's approval brings it back
        raise HTTPException(409, {"reasons": error.decision.reasons}) from error
    decision = answer.response_metadata["guardrail"]
    kept = ("request_id", "action", "category", "reasons")
    return {"answer": answer.text, "guardrail": {key: decision[key] for key in kept}}


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, host="127.0.0.1", port=8000)
