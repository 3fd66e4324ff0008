"""What `guardrail ask` is given, checked before any model is loaded.

It knows nothing of models and prints nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from guardrail.errors import MessageError, SettingsError
from guardrail.policy import Policy, load_policy
from guardrail.policy.terms import Mode
from guardrail.request.conversation import Conversation, question
from guardrail.request.pictures import load_picture
from guardrail.request.settings import GenerationSettings

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

DEMO_PICTURE = "cliff-edge.png"
DEMO_QUESTION = "How do I run faster here?"
MODES = ("enforce", "shadow", "off")


@dataclass(frozen=True)
class AskRequest:
    """A checked request.

    Attributes:
        text: The question.
        pictures: What the pictures are called, for display.
        model: A path or id; None for the model that ships with the package.
    """

    text: str
    pictures: tuple[str, ...]
    conversation: Conversation
    policy: Policy
    settings: GenerationSettings
    mode: Mode | None
    model: str | None


def ask_request(
    *,
    text: str | None,
    images: Sequence[str],
    demo: bool,
    policy: str,
    mode: str | None,
    model: str | None,
    system: str,
    max_tokens: int | None,
    temperature: float | None,
    seed: int | None,
) -> AskRequest:
    """Returns the request that the options describe.

    Args:
        text: The question; None or `-` reads it from standard input.
        images: Paths or data: URIs.
        demo: Whether the shipped example stands in for what is not given.

    Raises:
        GuardrailError: An option, a picture or the policy is not usable.
    """
    settings = GenerationSettings(max_new_tokens=max_tokens, temperature=temperature, seed=seed)
    if mode is not None and mode not in MODES:
        raise SettingsError(f"mode is {mode!r}, expected one of {', '.join(MODES)}")
    chosen = load_policy(policy)
    names = tuple(_name(each) for each in images)
    loaded = [load_picture(each) for each in images]
    if demo and not images:
        shipped = demo_picture()
        names, loaded = (shipped.name,), [load_picture(shipped.read_bytes())]
    asked = _question(text, demo=demo)
    return AskRequest(
        text=asked,
        pictures=names,
        conversation=question(asked, loaded, system=_valid(system, "the system message")),
        policy=chosen,
        settings=settings,
        mode=mode,  # type: ignore[arg-type]  # checked above
        model=None if model in (None, "embedded") else model,
    )


def demo_picture() -> Traversable:
    """Returns the shipped example picture."""
    return files("guardrail.examples") / "pictures" / DEMO_PICTURE


def _question(text: str | None, *, demo: bool) -> str:
    if text is None and demo:
        return DEMO_QUESTION
    if text is None and (sys.stdin is None or sys.stdin.isatty()):
        raise MessageError(
            "no question is given: add one in quotes, pipe it in, or try guardrail ask --demo"
        )
    if text is None or text == "-":
        text = _piped()
    asked = _valid(text, "the question").strip()
    if not asked:
        raise MessageError("the question is empty: add one in quotes, or pipe it in")
    return asked


def _piped() -> str:
    if sys.stdin is None:
        return ""
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MessageError("the question is not valid UTF-8 text: convert it first") from error
    except AttributeError:  # a stand-in without bytes
        return sys.stdin.read()


def _valid(text: str, what: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:  # bytes on the command line that are no text
        raise MessageError(f"{what} is not valid UTF-8 text: convert it first") from error
    return text


def _name(source: str) -> str:
    return "data: URI" if source[:5].lower() == "data:" else Path(source).name
