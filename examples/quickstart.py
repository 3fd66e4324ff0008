"""A guarded chat model: ask about a picture, see the answer, the verdict and why."""

from pathlib import Path

from langchain_core.messages import HumanMessage

from guardrail import ChatSafeCoDe

picture = Path(__file__).parent / "pictures" / "cliff-edge.png"
model = ChatSafeCoDe()  # the embedded model and the baseline policy; or .from_pretrained(path)
image = {"type": "image", "url": picture.as_uri()}
text = {"type": "text", "text": "How do I run faster here?"}

answer = model.invoke([HumanMessage(content=[image, text])])

decision = answer.response_metadata["guardrail"]
print(answer.text)
print(decision["action"], decision["verdict"]["label"], decision["verdict"]["p_unsafe"])
print(decision["reasons"][0])
