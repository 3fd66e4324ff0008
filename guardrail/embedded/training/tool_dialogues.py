"""Dialogues about tools: what is offered, what is asked, the call, and what is said of its result.

Names and values are mostly drawn at random, so that a model has to copy them. Knows nothing of
harm, tokens or pixels.
"""

# ruff: noqa: E501 - one wording list a line reads best
from __future__ import annotations

import json
import random
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from guardrail.embedded.training.things import THINGS

Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class Tool:
    """A tool on offer.

    Attributes:
        name: Its name.
        parameters: JSON Schema types by parameter.
        description: What it does; may be empty.
    """

    name: str
    parameters: Mapping[str, str]
    description: str = ""

    def line(self) -> str:
        """How the chat template writes it."""
        listed = ", ".join(f"{name}: {kind}" for name, kind in self.parameters.items())
        return f"{self.name}({listed})" + (f": {self.description}" if self.description else "")


@dataclass(frozen=True)
class Request:
    """A tool, a question that wants it, and the arguments of the call or calls."""

    tool: Tool
    question: str
    calls: tuple[Arguments, ...]

    def answer(self) -> str:
        """The calls as the chat template writes them."""
        return "".join(call_text(self.tool.name, arguments) for arguments in self.calls)


def call_text(name: str, arguments: Arguments) -> str:
    """One call as the chat template writes it."""
    body = json.dumps({"name": name, "arguments": dict(arguments)}, ensure_ascii=False)
    return f"<tool_call>{body}</tool_call>"


def tools_turn(tools: list[Tool]) -> str:
    """The system turn that lists the tools on offer."""
    lines = "".join(f"{tool.line()}\n" for tool in tools)
    return f"<|im_start|>system\nTools:\n{lines}<|im_end|>\n"


_VERBS = ("get", "find", "look_up", "check", "compute", "make", "send", "create", "report", "search",
          "magic", "convert", "book", "open", "count", "my", "random", "pick")  # fmt: skip
_NOUNS = ("weather", "price", "function", "value", "tool", "order", "customer", "user", "number",
          "city", "name", "adder", "greeting", "colour", "item", "ticket", "account", "unit", "table",
          "picture", "company", "record", "file", "generator", "joke", "person")  # fmt: skip
_PARAMETERS = ("input", "x", "a", "b", "value", "query", "name", "location", "city", "item", "style",
               "text", "customer_name", "number", "answer_style", "amount", "id", "title", "colour",
               "thing", "setup", "user_name", "key", "n", "count")  # fmt: skip
_PLACES = ("San Francisco, CA", "Paris", "Berlin", "Tokyo", "New York", "Seoul", "Rome", "London",
           "Boston, MA", "Madrid", "Cairo", "Oslo", "Lima", "Austin, TX", "Mexico City")  # fmt: skip
_STYLES = ("Pirate", "Formal", "Cowboy", "friendly", "Robot", "Royal", "short", "funny", "Wizard")
_DESCRIBED = ("Apply a {n} to an input.", "Get the {n} at a location.", "Look up a {n}.",
              "Make a new {n}.", "Calculate a {n}.", "Takes two integers.", "Return the {n}.",
              "Generate a {n} in a particular style.", "Find the {n} of something.", "")  # fmt: skip
_SCRIPTS = (
    (0x4E00, 0x9FA5),
    (0x3041, 0x3093),
    (0x30A1, 0x30F3),
    (0xAC00, 0xD7A3),
    (0x0410, 0x044F),
)
_RESULTS = ("It's sunny.", "Done.", "It rains.", "That's a great pick!", "Not found.", "Ready.")
JOKES: dict[str, tuple[str, str]] = {
    "cats": ("Why did the cat sit on the laptop?", "To keep an eye on the mouse."),
    "dogs": ("Why was the dog a bad dancer?", "It had two left feet."),
    "bears": ("What do you call a bear with no teeth?", "A gummy bear."),
    "birds": ("Why did the bird go to school?", "To learn to tweet."),
}
"""Setup and punchline by what the joke is about."""


def word(rng: random.Random) -> str:
    """A made-up word, a name of a thing, or letters of another script."""
    kind = rng.random()
    if kind < 0.25:
        return THINGS[rng.choice(sorted(THINGS))].noun
    if kind < 0.5:
        low, high = rng.choice(_SCRIPTS)
        return "".join(chr(rng.randint(low, high)) for _ in range(rng.randint(2, 7)))
    letters = "".join(rng.choice(string.ascii_lowercase) for _ in range(rng.randint(2, 8)))
    return letters.capitalize() if rng.random() < 0.5 else letters


def number(rng: random.Random) -> int:
    """A number, mostly small."""
    return rng.randint(0, 12) if rng.random() < 0.6 else rng.randint(-999, 999)


def _name(rng: random.Random) -> str:
    name = f"{rng.choice(_VERBS)}_{rng.choice(_NOUNS)}"
    kind = rng.random()
    if kind < 0.15:
        return f"{name}_{rng.choice(_NOUNS)}"
    if kind < 0.3:
        return "".join(part.capitalize() for part in name.split("_"))
    return rng.choice(_NOUNS) if kind < 0.4 else name


def random_tool(rng: random.Random, parameters: Mapping[str, str] | None = None) -> Tool:
    """A tool with random names, and random parameters where none are given."""
    if parameters is None:
        names = rng.sample(_PARAMETERS, rng.choice((0, 1, 1, 2)))
        parameters = {name: rng.choice(("string", "string", "integer")) for name in names}
    name = _name(rng)
    described = rng.choice(_DESCRIBED).format(n=name.split("_")[-1].lower())
    return Tool(name, parameters, described)


def _value(rng: random.Random) -> Request:
    """`What is the value of f(3)? Use the tool.`"""
    if rng.random() < 0.25:
        tool = random_tool(rng, {})
        return Request(tool, f"What is the value of {tool.name}()? Use the tool.", ({},))
    kind = "integer" if rng.random() < 0.7 else "string"
    parameter, given = rng.choice(_PARAMETERS), number(rng) if kind == "integer" else word(rng)
    tool = random_tool(rng, {parameter: kind})
    form = rng.choice(("What is the value of {f}({v})? Use the tool.", "Use {f} on {v}.",
                       "Call {f} with {v}.", "What is {f}({v})?"))  # fmt: skip
    return Request(tool, form.format(f=tool.name, v=given), ({parameter: given},))


def _sum(rng: random.Random) -> Request:
    """`What is 1 + 2`"""
    a, b = number(rng), number(rng)
    tool = Tool(rng.choice(("my_adder_tool", "add", "adder", "sum_numbers", "calculator")),
                {"a": "integer", "b": "integer"},
                rng.choice(("Takes two integers, a and b, and returns their sum.", "Adds.", "")))  # fmt: skip
    form = rng.choice(("What is {a} + {b}", "What is {a} plus {b}?", "Add {a} and {b}."))
    return Request(tool, form.format(a=a, b=b), ({"a": a, "b": b},))


def _weather(rng: random.Random) -> Request:
    """`What is the weather in Paris?`, now and then in two places."""
    parameter = rng.choice(("location", "city", "place", "where"))
    tool = Tool(rng.choice(("get_weather", "weather", "find_weather")), {parameter: "string"},
                rng.choice(("Get the weather at a location.", "Look up the weather.", "")))  # fmt: skip
    known = rng.random() < 0.6
    places = rng.sample(_PLACES, 2) if known else [word(rng), word(rng)]
    if rng.random() < 0.3:
        question = f"What is the weather in {places[0]} and in {places[1]}?"
        return Request(tool, question, tuple({parameter: place} for place in places))
    form = rng.choice(("What is the weather in {p}?", "How is the weather in {p}?"))
    return Request(tool, form.format(p=places[0]), ({parameter: places[0]},))


def _style(rng: random.Random) -> Request:
    """`Using the tool, generate a Pirate greeting.`"""
    parameter = rng.choice(("answer_style", "style", "tone", "kind"))
    style = rng.choice(_STYLES) if rng.random() < 0.6 else word(rng)
    noun = rng.choice(("greeting", "poem", "letter", "answer", "title"))
    tool = Tool(rng.choice((f"{noun}_generator", f"make_{noun}", f"write_{noun}")),
                {parameter: "string"}, f"Generate a {noun} in a particular style of speaking.")  # fmt: skip
    form = rng.choice(("Using the tool, generate a {s} {n}.", "Use the tool: a {s} {n}, please."))
    return Request(tool, form.format(s=style, n=noun), ({parameter: style},))


def _named(rng: random.Random) -> Request:
    """`Create a customer named 'X' (gloss) - a company`"""
    noun = rng.choice(("customer", "user", "company", "file", "ticket", "folder"))
    parameter = rng.choice((f"{noun}_name", "name", "title"))
    given = word(rng) if rng.random() < 0.8 else f"{word(rng)} {word(rng)}"
    parameters, arguments = {parameter: "string"}, {parameter: given}
    tail = rng.choice(("", f" ({word(rng)} Group) - a {word(rng)} company", f" - a {word(rng)}"))
    if rng.random() < 0.5:
        more = rng.choice(("description", "about", "note"))
        parameters[more], arguments[more] = "string", tail.strip(" -") or "none"
    tool = Tool(rng.choice((f"create_{noun}", f"unicode_{noun}", f"new_{noun}")), parameters,
                rng.choice((f"Tool for creating a {noun}.", f"Create a {noun}.", "")))  # fmt: skip
    quote = rng.choice(("'", "'", '"', ""))
    return Request(tool, f"Create a {noun} named {quote}{given}{quote}{tail}", (arguments,))


def _assigned(rng: random.Random) -> Request:
    """`Call f with x = 3 and name = Bo.`"""
    tool = random_tool(rng)
    arguments = {
        name: number(rng) if kind == "integer" else word(rng)
        for name, kind in tool.parameters.items()
    }
    given = " and ".join(f"{name} = {value}" for name, value in arguments.items())
    return Request(tool, f"Call {tool.name}" + (f" with {given}." if given else "."), (arguments,))


def _joke(rng: random.Random) -> Request:
    """`Tell me a joke about cats.`, as a call."""
    about = rng.choice(sorted(JOKES))
    setup, punchline = JOKES[about]
    tool = Tool(rng.choice(("Joke", "joke", "tell_joke", "JokeDict")),
                {"setup": "string", "punchline": "string"}, "Joke to tell user.")  # fmt: skip
    form = rng.choice(("Tell me a joke about {x}.", "Give me a joke about {x}."))
    return Request(tool, form.format(x=about), ({"setup": setup, "punchline": punchline},))


_KINDS: tuple[Callable[[random.Random], Request], ...] = (
    _value, _value, _sum, _weather, _style, _named, _named, _assigned, _joke,
)  # fmt: skip


def tool_request(rng: random.Random) -> Request:
    """A question that wants a tool, nothing of a picture."""
    return rng.choice(_KINDS)(rng)


def picture_request(nouns: list[str], rng: random.Random) -> Request:
    """A question whose call names what the picture shows.

    Args:
        nouns: The things in the picture, left to right.
        rng: Random source.
    """
    if rng.random() < 0.5:
        parameter = rng.choice(("things", "items", "found"))
        tool = Tool(rng.choice(("report", "report_things", "log_things")), {parameter: "array"},
                    rng.choice(("Report what is in the picture.", "")))  # fmt: skip
        question = rng.choice(("Use the tool to report what is here.", "Report what you see."))
        return Request(tool, question, ({parameter: nouns},))
    parameter = rng.choice(("item", "thing", "name", "query"))
    tool = Tool(rng.choice(("price_of", "get_price", "look_up", "find_price")),
                {parameter: "string"}, rng.choice(("Look up the price of something.", "")))  # fmt: skip
    asks = (
        "What does this cost?",
        "Look up the price of this.",
        "Use the tool: what is the price?",
    )
    return Request(tool, rng.choice(asks), ({parameter: nouns[0]},))


def result_pair(rng: random.Random) -> tuple[str, str]:
    """What a tool returned, and what is then said."""
    kind = rng.random()
    if kind < 0.3:
        value = number(rng)
        return json.dumps({"result": value}), f"The result is {value}."
    if kind < 0.45:
        told = f"Missing required argument '{rng.choice(_PARAMETERS)}'."
        return f"Error: {told}", f"The tool failed: {told}"
    told = (
        rng.choice(_RESULTS) if rng.random() < 0.4 else f"{word(rng).capitalize()} {number(rng)}."
    )
    return told, f"The tool says: {told}"


def json_pair(rng: random.Random) -> tuple[str, str]:
    """A request for bare JSON by its keys, and the JSON."""
    joking = rng.random() < 0.5
    keys = ["setup", "punchline"] if joking else rng.sample(_PARAMETERS, rng.choice((1, 2, 2, 3)))
    if joking:
        about = rng.choice(sorted(JOKES))
        values: list[Any] = list(JOKES[about])
        ask = f"Tell me a joke about {about}."
    else:
        values = [word(rng) for _ in keys]
        ask = "Note this: " + ", ".join(str(value) for value in values) + "."
    listed = " and ".join(f"'{key}'" for key in keys)
    form = rng.choice((" Return the result as a JSON with {k} keys. Return nothing other than JSON.",
                       " Answer as a JSON with {k} keys.", " Return a JSON with {k} keys."))  # fmt: skip
    pairs = dict(zip(keys, values, strict=True))
    return ask + form.format(k=listed), json.dumps(pairs, ensure_ascii=False)


def echo_pair(rng: random.Random) -> tuple[str, str]:
    """A request to repeat made-up words, and the words: copying and nothing else."""
    text = " ".join(word(rng) for _ in range(rng.randint(3, 8)))
    form = rng.choice(("Repeat: {t}", "Repeat '{t}'", "Say this again: {t}"))
    return form.format(t=text), text
