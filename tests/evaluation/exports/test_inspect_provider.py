"""Any Inspect task, run guarded: what reaches the engine, what comes back, a task to its end."""

import base64
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("inspect_ai")

from inspect_ai.model import (
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    ContentAudio,
    ContentImage,
    ContentReasoning,
    ContentText,
    GenerateConfig,
)
from inspect_ai.tool import ToolCall, ToolFunction, ToolInfo

from guardrail.errors import Escalation, MessageError, PictureError, SettingsError
from guardrail.evaluation.exports.inspect_provider import GuardedModel, to_conversation, to_settings
from guardrail.policy import load_policy
from guardrail.record.decision import Outcome

from ..stand_in import StandIn

CONFIG = GenerateConfig()
TOOL = ToolInfo(name="look_up", description="Looks up.")


def picture() -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def engine(says: Any = lambda *_: {}) -> Any:
    stand_in = StandIn(says)
    stand_in.policy = load_policy("baseline")
    return stand_in


def test_messages_become_turns_with_their_pictures_and_calls() -> None:
    call = ToolCall(id="c1", function="look_up", arguments={"what": "cake"})
    thought = ContentReasoning(reasoning="hm")
    conversation = to_conversation(
        [
            ChatMessageSystem(content="Be brief."),
            ChatMessageUser(content=[ContentImage(image=picture()), ContentText(text="What?")]),
            ChatMessageUser(content="And where?"),
            ChatMessageAssistant(content=[thought, ContentText(text="I look.")], tool_calls=[call]),
            ChatMessageTool(content="A cake.", tool_call_id="c1", function="look_up"),
        ],
        [TOOL],
        ToolFunction(name="look_up"),
        CONFIG,
    )
    assert [turn.role for turn in conversation.turns] == ["system", "user", "assistant", "tool"]
    assert conversation.turns[1].text == "What?\nAnd where?"
    assert len(conversation.pictures) == 1
    assert conversation.turns[2].tool_calls == ({"name": "look_up", "arguments": {"what": "cake"}},)
    assert conversation.turns[2].text == "I look."
    assert conversation.turns[3].call_ids == ("c1",)
    assert conversation.tools[0]["function"]["name"] == "look_up"
    assert (conversation.form.calls, conversation.form.tool) == ("forced", "look_up")


def test_tools_that_may_not_be_called_are_not_given() -> None:
    conversation = to_conversation([ChatMessageUser(content="Hi")], [TOOL], "none", CONFIG)
    assert conversation.tools == ()
    assert not conversation.form.constrains


def test_content_that_no_model_takes_raises() -> None:
    heard = ChatMessageUser(content=[ContentAudio(audio="data:,", format="wav")])
    with pytest.raises(MessageError, match="message 0: content of type 'audio'"):
        to_conversation([heard], [], "auto", CONFIG)
    broken = ChatMessageUser(content=[ContentImage(image="data:image/png;base64,AAAA")])
    with pytest.raises(PictureError):
        to_conversation([broken], [], "auto", CONFIG)
    remote = ChatMessageUser(content=[ContentImage(image="https://example.org/a.png")])
    with pytest.raises(PictureError):
        to_conversation([remote], [], "auto", CONFIG)


def test_settings_keep_their_meaning_and_unknown_ones_raise() -> None:
    found = to_settings(
        GenerateConfig(max_tokens=9, temperature=0, top_p=0.5, stop_seqs=["x"], seed=3)
    )
    assert (found.max_new_tokens, found.temperature, found.top_p) == (9, 0, 0.5)
    assert (found.stop, found.seed) == (("x",), 3)
    for asked in ({"num_choices": 2}, {"logprobs": True}, {"frequency_penalty": 0.5}):
        with pytest.raises(SettingsError, match=next(iter(asked))):
            to_settings(GenerateConfig(**asked))


@pytest.mark.parametrize(
    ("finish", "stop"),
    [("stop", "stop"), ("length", "max_tokens"), ("blocked", "content_filter")],
)
async def test_the_decision_is_in_the_outputs_metadata(finish: str, stop: str) -> None:
    model = GuardedModel("mine", engine=engine(lambda *_: {"text": "Yes.", "finish": finish}))
    output = await model.generate([ChatMessageUser(content="Hi")], [], "auto", CONFIG)
    assert output.completion == "Yes."
    assert output.stop_reason == stop
    assert output.metadata is not None
    assert output.metadata["guardrail"]["policy"]["name"] == "baseline"
    assert output.metadata["guardrail"]["outcome"]["finish_reason"] == finish


async def test_what_waits_for_a_human_ends_with_the_policys_words() -> None:
    plain = GuardedModel("mine", engine=engine())
    decided = (await plain.generate([ChatMessageUser(content="Hi")], [], "auto", CONFIG)).metadata
    assert decided is not None
    from guardrail.record.decision import Decision

    decision = Decision.model_validate(decided["guardrail"]).model_copy(
        update={"outcome": Outcome(finish_reason="escalated")}
    )
    escalation = Escalation("a human has to decide", decision, "Somebody will look.")
    model = GuardedModel("mine", engine=engine(lambda *_: {"error": escalation}))
    output = await model.generate([ChatMessageUser(content="Hi")], [], "auto", CONFIG)
    assert (output.completion, output.stop_reason) == ("Somebody will look.", "content_filter")
    assert output.error == "a human has to decide"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [({"mode": "strict"}, "mode is 'strict'"), ({"base_url": "http://x"}, "base_url='http://x'")],
)
def test_bad_arguments_are_known_before_a_model_is_loaded(
    arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        GuardedModel("embedded", **arguments)


TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessageUser, ContentImage, ContentText
from inspect_ai.scorer import includes

@task
def seen():
    asked = [ContentImage(image={image!r}), ContentText(text="What is in this picture?")]
    return Task(dataset=[Sample(input=[ChatMessageUser(content=asked)], target="see")],
                scorer=includes())
"""


def test_a_task_runs_guarded_by_inspects_own_command(tmp_path: Path) -> None:
    from guardrail.embedded import HELDOUT

    image = sorted(HELDOUT.rglob("*.webp"))[0]
    (tmp_path / "task.py").write_text(TASK.format(image=str(image)), "utf-8")
    command = "inspect_ai eval task.py --model guardrail/embedded -M policy=baseline -M mode=shadow"
    command += " --log-dir logs --log-format json --display none --max-tokens 8 --temperature 0"
    subprocess.run(
        [sys.executable, "-m", *command.split()], cwd=tmp_path, check=True, capture_output=True
    )
    [file] = (tmp_path / "logs").glob("*.json")
    log = json.loads(file.read_text("utf-8"))
    assert log["status"] == "success", log.get("error")
    output = log["samples"][0]["output"]
    assert output["completion"]
    assert output["usage"]["output_tokens"] <= 8
    decision = output["metadata"]["guardrail"]
    assert decision["mode"] == "shadow"
    assert decision["policy"]["name"] == "baseline"
    assert decision["verdict"]["label"] in ("safe", "unsafe", "uncertain")
