"""Trees of dialogue about a picture, a tool or neither: what one training sequence is packed from.

Judge questions are answered by the table, without the bias that answers have. Knows nothing of
tokens or pixels.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from guardrail.embedded.training.dialogues import activity_answer, neutral_pairs, pick
from guardrail.embedded.training.scenes import Scene
from guardrail.embedded.training.things import CATEGORIES, THINGS
from guardrail.embedded.training.tool_dialogues import (
    Request,
    echo_pair,
    json_pair,
    picture_request,
    random_tool,
    result_pair,
    tool_request,
    tools_turn,
)
from guardrail.embedded.training.wording import (
    GENERAL_QUESTIONS,
    GENERIC_REASONS,
    HARMFUL_REQUESTS,
    JUDGE_QUESTIONS,
    JUDGE_SUFFIX,
    NOTHING_CLEAR,
    REFUSALS,
    SMALL_TALK,
    SYSTEM_PROMPTS,
)
from guardrail.embedded.training.world import Activity, activities

NEUTRAL_WEIGHT = 3.0
WITH_TOOLS = 0.25
"""Share of the scenes' trees with tools on offer, and a question that wants one."""
JUDGE_WEIGHT = 4.0
TURN = "<|im_end|>\n<|im_start|>assistant\n"
NEXT = "<|im_end|>\n<|im_start|>user\n"
RESULT = "<|im_end|>\n<|im_start|>tool\n"
END = "<|im_end|>"

BLIND_QUESTIONS = (
    "Describe this picture.",
    "What is in this picture?",
    "What do you see?",
    "Write a caption for this picture.",
    "Name the things in this picture.",
    "How many things are there?",
    "Where is this?",
    "What place is this?",
)


@dataclass
class Node:
    """A piece of conversation in a tree; a path from the root is one training sequence.

    Attributes:
        text: What is shown, control tokens included.
        target: What is to be learned after `text`; may be empty.
        weight: Weight of the loss of the target, and of the text where that is learned.
        children: What may follow `text` (not `target`).
        learned: Whether `text` itself is to be learned as what follows its parent. Of a parent
            without a target, one child may be.
    """

    text: str
    target: str = ""
    weight: float = 1.0
    children: list[Node] = field(default_factory=list)
    learned: bool = False


Asking = Callable[[Activity, random.Random], tuple[str, str]]
"""Draws a question about an activity, and the one of the table whose answer it gets."""


def as_in_table(activity: Activity, rng: random.Random) -> tuple[str, str]:
    """A question as the activity table puts it."""
    question = rng.choice(activity.questions)
    return question, question


def judge_nodes(
    harms: tuple[str, ...], rng: random.Random, *, wanted: tuple[str, ...] = (), count: int = 4
) -> list[Node]:
    """Judge questions at the end of a user's turn, with sound answers.

    Args:
        harms: Categories whose answer is yes.
        rng: Random source.
        wanted: Categories to ask about first (the tempting ones).
        count: How many questions.
    """
    asked = [c for c in wanted if rng.random() < 0.8]
    asked += rng.sample(CATEGORIES, len(CATEGORIES))
    nodes = []
    for category in list(dict.fromkeys(asked))[:count]:
        options = JUDGE_QUESTIONS[category]
        question = options[0] if rng.random() < 0.55 else rng.choice(options)
        nodes.append(judge_node(question, category in harms))
    if rng.random() < 0.3:
        general = GENERAL_QUESTIONS[0] if rng.random() < 0.5 else rng.choice(GENERAL_QUESTIONS)
        nodes[-1] = judge_node(general, bool(harms))
    return nodes


def judge_node(question: str, answer: bool) -> Node:
    """A harm question at the end of a user's turn."""
    text = f"\n\n{question}{JUDGE_SUFFIX}{TURN}"
    return Node(text, ("Yes" if answer else "No") + END, weight=JUDGE_WEIGHT)


def _turn(question: str, answer: str, weight: float = 1.0) -> Node:
    """A user's turn as a shared stem, its answer as first branch."""
    return Node(question, children=[Node(TURN, answer + END, weight)])


def prefix(rng: random.Random, *, picture: bool, tools: str = "") -> str:
    """What comes before the user's words: tools, system prompt, earlier small talk, the picture."""
    text = tools
    if rng.random() < 0.15:
        text += f"<|im_start|>system\n{rng.choice(SYSTEM_PROMPTS)}{END}\n"
    text += "<|im_start|>user\n"
    if rng.random() < 0.06:
        said, reply = rng.choice(SMALL_TALK)
        text += f"{said}{TURN}{reply}{NEXT}"
    return text + ("<image>\n" if picture else "")


def scene_tree(
    scene: Scene | None,
    asked: Activity,
    rng: random.Random,
    *,
    picture: bool = True,
    tools: float = WITH_TOOLS,
    ask: Asking = as_in_table,
) -> Node:
    """A tree of questions about one picture.

    Args:
        scene: What is to be seen; None for a picture in which nothing is clear, or no picture.
        asked: The activity that the scene was made for.
        rng: Random source.
        picture: Whether there is a picture.
        tools: How often there are tools on offer, and a question that wants one.
        ask: How activities are asked about.
    """
    wanted = _picture_request(scene, rng) if rng.random() < tools else None
    offer = _offer([wanted] if wanted else [], rng) if wanted or rng.random() < 0.03 else ""
    root = Node(prefix(rng, picture=picture, tools=offer))
    if wanted:
        root.children.append(_tool_turn(wanted, rng))
    table = list(activities().values())
    if scene is None:
        blind = [(q, NOTHING_CLEAR if picture else "There is no picture.") for q in BLIND_QUESTIONS]
        neutral = rng.sample(blind, 3)
        others = rng.sample(table, 2)
    else:
        pairs = neutral_pairs(scene, rng)
        # One of the six that list everything comes first: it teaches most about seeing.
        neutral = [pairs.pop(rng.randrange(6)), *rng.sample(pairs, 2)]
        others = [a for a in table if a is not asked and a.applies(scene)]
        others = rng.sample(others, min(1, len(others)))
    for index, activity in enumerate((asked, *others)):
        judged = 5 if index == 0 else 3
        root.children.append(_activity_tree(activity, scene, rng, picture, judged, ask))
    for question, answer in neutral[:2]:
        root.children.append(_turn(question, answer, NEUTRAL_WEIGHT))
    if rng.random() < 0.4:
        root.children[-1].children += judge_nodes((), rng, count=1)
    if rng.random() < 0.35:  # a second turn: something neutral first, then an activity
        question, answer = neutral[2] if rng.random() < 0.8 else rng.choice(SMALL_TALK)
        follow = _activity_tree(rng.choice([asked, *others]), scene, rng, picture, 1, ask)
        follow.text = f"{question}{TURN}{answer}{NEXT}{follow.text}"
        root.children.append(follow)
    if rng.random() < 0.15:
        root.children.append(_turn(*rng.choice(SMALL_TALK)))
        root.children[-1].children += judge_nodes((), rng, count=1)
    if rng.random() < 0.12:
        root.children.append(_harmful_request(rng))
    return root


def _picture_request(scene: Scene | None, rng: random.Random) -> Request | None:
    return picture_request([THINGS[key].noun for key in scene.things], rng) if scene else None


def _offer(requests: list[Request], rng: random.Random) -> str:
    """The system turn that offers the tools of some requests, and now and then others."""
    tools = [request.tool for request in requests]
    tools += [random_tool(rng) for _ in range(rng.choice((0, 0, 1)) or not tools)]
    rng.shuffle(tools)
    return tools_turn(list({tool.name: tool for tool in tools[::-1]}.values()))


def _tool_turn(request: Request, rng: random.Random) -> Node:
    """A question, the call that answers it, and what is said of the result."""
    call = request.answer() + END
    result, said = result_pair(rng)
    after = f"{TURN}{call[: -len(END)]}{RESULT}{result}{TURN}"
    node = Node(request.question, children=[Node(TURN, call)])
    if rng.random() < 0.5:
        node.children.append(Node(after, said + END))
    if rng.random() < 0.3:
        node.children += judge_nodes((), rng, count=1)
    return node


def tool_tree(rng: random.Random) -> Node:
    """A tree of questions that want tools, and of others beside them, without a picture."""
    requests: dict[str, Request] = {}
    for _ in range(rng.choice((1, 2, 2))):
        request = tool_request(rng)
        requests.setdefault(request.tool.name, request)
    root = Node(prefix(rng, picture=False, tools=_offer(list(requests.values()), rng)))
    root.children += [_tool_turn(request, rng) for request in requests.values()]
    if rng.random() < 0.4:
        root.children.append(_turn(*rng.choice(SMALL_TALK)))
    return root


def echo_tree(rng: random.Random) -> Node:
    """A tree of requests to repeat something."""
    root = Node(prefix(rng, picture=False))
    root.children += [_turn(*echo_pair(rng)) for _ in range(3)]
    return root


def json_tree(rng: random.Random) -> Node:
    """A tree of requests for bare JSON."""
    root = Node(prefix(rng, picture=False))
    root.children += [_turn(*json_pair(rng)) for _ in range(3)]
    return root


def judging_tree(
    scene: Scene, asked: Activity, rng: random.Random, ask: Asking = as_in_table
) -> Node:
    """A tree of little but harm questions: those by which a picture tempts, of several activities.

    Args:
        scene: What is to be seen.
        asked: The activity that the scene was made for.
        rng: Random source.
        ask: How activities are asked about.
    """
    root = Node(prefix(rng, picture=True))
    others = [a for a in activities().values() if a is not asked and a.applies(scene)]
    rng.shuffle(others)
    for activity in (asked, *others[:4]):
        question, base = ask(activity, rng)
        node = Node(question)
        if activity is asked and rng.random() < 0.5:
            answer = activity_answer(activity, base, scene, rng, picture=True)
            node.children.append(Node(TURN, answer + END))
        harms = activity.harms(scene)
        tempting = list(dict.fromkeys(rule.category for rule in activity.rules))
        rng.shuffle(tempting)
        wanted = dict.fromkeys((*harms, *tempting[:3], rng.choice(CATEGORIES)))
        for category in wanted:
            options = JUDGE_QUESTIONS[category]
            asks = options[0] if rng.random() < 0.85 else rng.choice(options)
            node.children.append(judge_node(asks, category in harms))
        root.children.append(node)
    if rng.random() < 0.6:
        pairs = neutral_pairs(scene, rng)
        question, answer = pairs[rng.randrange(6)]
        root.children.insert(0, _turn(question, answer, NEUTRAL_WEIGHT))
    return root


def _activity_tree(
    activity: Activity,
    scene: Scene | None,
    rng: random.Random,
    picture: bool,
    judged: int,
    ask: Asking,
) -> Node:
    question, base = ask(activity, rng)
    answer = activity_answer(activity, base, scene, rng, picture=picture)
    node = _turn(question, answer)
    tempting = tuple(rule.category for rule in activity.rules)
    harms: tuple[str, ...]
    if scene is None:
        # Without a clear picture an alarming request leaves some doubt, a harmless one none.
        doubt = activity.alarming and rng.random() < 0.3
        harms = (tempting[0],) if doubt else ()
    else:
        harms = activity.harms(scene)
    wanted = harms or tuple(rng.sample(tempting, 1))
    node.children += judge_nodes(harms, rng, wanted=wanted, count=judged)
    return node


def _harmful_request(rng: random.Random) -> Node:
    question, category = rng.choice(HARMFUL_REQUESTS)
    opening = pick(REFUSALS, rng.random())
    node = _turn(question, f"{opening}: {rng.choice(GENERIC_REASONS)}")
    node.children += judge_nodes((category,), rng, wanted=(category,), count=3)
    return node
