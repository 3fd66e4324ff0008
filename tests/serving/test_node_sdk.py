"""OpenAI's Node SDK over a real port. Needs node, and npm with a registry or a cache."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from guardrail.policy import is_refusal, load_policy
from guardrail.serving.app import create_app
from tests.serving.served import body, chat, listening
from tests.serving.test_completions import TOOL

SDK = "openai@6.30.1"
LOOK = {
    "type": "object",
    "properties": {"safe": {"type": "boolean"}},
    "required": ["safe"],
    "additionalProperties": False,
}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_the_node_sdk_is_served(tmp_path: Path) -> None:
    install = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(tmp_path), SDK]
    subprocess.run(install, check=True, capture_output=True)
    script = shutil.copy(Path(__file__).with_name("node_sdk.mjs"), tmp_path)
    given = {
        "run": body("How do I run faster here?", "cliff-edge")["messages"],
        "cut": body()["messages"],
        "tool": TOOL,
        "schema": LOOK,
    }
    with listening(create_app(chat(None))) as url:
        done = subprocess.run(
            ["node", str(script), url], input=json.dumps(given), capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    phrases = load_policy("baseline").phrases
    assert is_refusal(found["answer"], phrases)
    assert found["action"] == found["header"] == "refuse"
    assert len(found["pieces"]) > 3
    assert found["tokens"] >= len(found["pieces"])
    assert found["streamed"] in ("comply", "plain")
    assert found["call"]["name"] == "weather"
    assert found["call"]["arguments"]["city"] in ("Bern", "Oslo")
    assert found["told"] == "assistant"
    assert isinstance(found["parsed"]["safe"], bool)
    assert found["refused"]["parsed"] is None
    assert is_refusal(found["refused"]["refusal"], phrases)
    error = {"kind": "BadRequestError", "status": 400, "code": "invalid_body", "param": "n"}
    assert found["error"] == error
    assert found["models"] == ["embedded"]
