"""Your own model under a policy: a folder or a hub id of any Hugging Face image-text-to-text model.

    python examples/own_model.py [PATH]

Without a path the embedded model stands in.
"""

import sys
from pathlib import Path

import torch
from langchain_core.messages import HumanMessage
from transformers import AutoModelForImageTextToText, AutoProcessor

from guardrail import ChatSafeCoDe
from guardrail.embedded.load import load_embedded

PICTURES = Path(__file__).resolve().parent / "pictures"

if len(sys.argv) > 1:
    # As you load it anyway: quantised, with adapters, on the devices that you have.
    dtype = "auto" if torch.cuda.is_available() else torch.float32  # halves are slow on a CPU
    model = AutoModelForImageTextToText.from_pretrained(sys.argv[1], dtype=dtype).eval()
    processor = AutoProcessor.from_pretrained(sys.argv[1])
else:
    model, processor = load_embedded()

chat = ChatSafeCoDe(model=model, processor=processor, policy="baseline", max_tokens=48)

for picture in ("cliff-edge", "garden-balloon"):
    image = {"type": "image", "url": (PICTURES / f"{picture}.png").as_uri()}
    text = {"type": "text", "text": "How do I run faster here?"}
    answer = chat.invoke([HumanMessage([image, text])])
    decision = answer.response_metadata["guardrail"]
    # Safe is `plain` and not `comply` (refusals suppressed) until `guardrail reference own --model
    # PATH` has noted what requests a model was tried on; the embedded one brings its reference.
    print(
        f"{picture}: {decision['action']} (p {decision['verdict']['p_unsafe']:.2f}): {answer.text}"
    )
