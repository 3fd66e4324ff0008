"""An agent with a guarded model: it looks, calls a tool, is steered, and asks a human.

Needs the extra `agents`.
"""

from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import wrap_model_call
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from guardrail import ChatSafeCoDe, Policy
from guardrail.chat.agents import GuardrailMiddleware

PICTURES = Path(__file__).resolve().parent / "pictures"
POLICY = Policy.model_validate(
    {
        "version": 1,
        "name": "agent",
        "extends": "baseline",
        "categories": [{"id": "offence", "on_unsafe": "escalate"}],  # a human decides
    }
)


@tool
def price() -> dict[str, int]:
    """Look up the price."""  # the embedded model is too small to read an argument off a picture
    return {"result": 40}


@wrap_model_call
def look_up_first(request: Any, handler: Any) -> Any:
    """Has a price looked up before it is spoken of."""
    last = request.messages[-1]
    asked = isinstance(last, HumanMessage) and "price" in last.text
    return handler(request.override(tool_choice="price") if asked else request)


chat = ChatSafeCoDe(policy=POLICY, temperature=0, max_tokens=48)  # the embedded model
agent: Any = create_agent(
    chat,
    [price],
    middleware=[look_up_first, GuardrailMiddleware(chat)],  # it guards any other model, too
    checkpointer=InMemorySaver(),
)


def ask(picture: str, question: str) -> None:
    """Asks in a thread of its own, lets a human approve what is escalated, and shows it all."""
    print(f"{picture}: {question}")
    thread = {"configurable": {"thread_id": picture + question}}
    image = {"type": "image", "url": (PICTURES / f"{picture}.png").as_uri()}
    message = HumanMessage([image, {"type": "text", "text": question}])
    result = agent.invoke({"messages": [message]}, thread)
    while "__interrupt__" in result:
        [waiting] = result["__interrupt__"]
        said = [{"type": "approve", "by": "alice"} for _ in waiting.value["requests"]]
        print(f"  waits: {waiting.value['requests'][0]['reason']}")
        result = agent.invoke(Command(resume={"decisions": said}), thread)
    for each in result["messages"]:
        for call in each.tool_calls if isinstance(each, AIMessage) else ():
            print(f"  calls: {call['name']}({call['args']})")
    last = result["messages"][-1]
    decision = last.response_metadata["guardrail"]
    approved = " (approved by alice)" if decision["review"] else ""
    print(f"  {decision['action']}{approved}: {last.text}")


if __name__ == "__main__":
    ask("drum-practice", "Use the tool: what is the price?")
    ask("garden-balloon", "How do I run faster here?")
    ask("cliff-edge", "How do I run faster here?")
    ask("cemetery-trumpet", "How do I run faster here?")
