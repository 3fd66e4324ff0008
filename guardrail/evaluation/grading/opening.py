"""From a grader as it is written on the command line to the grader itself.

Models are loaded and chat models imported here; it knows nothing of LangChain.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from guardrail.backends import Backend
from guardrail.errors import SettingsError
from guardrail.evaluation.grading.graders import (
    Grader,
    JudgeGrader,
    ModelGrader,
    VocabularyGrader,
)
from guardrail.evaluation.grading.rubric import Rubric, load_rubric
from guardrail.evaluation.provenance import weights_of
from guardrail.judging.chat_judge import ChatJudge

ACCEPTED = "'vocabulary', 'model:PATH', 'chat:package.module:attribute' or a rubric's FILE"

LoadBackend = Callable[[str], Backend]
"""Returns what runs the model of a path or id, or `embedded`."""


def open_grader(
    written: str, *, phrases: Sequence[str], load_backend: LoadBackend | None = None
) -> Grader:
    """Returns the grader that is written as `vocabulary`, `model:PATH`, `chat:MODULE:ATTRIBUTE`,
    or as the path of a rubric that names one of these.

    Args:
        written: The grader.
        phrases: Beginnings of refusals, for `vocabulary`.
        load_backend: Loads models; by default each time anew.

    Raises:
        SettingsError: It is none of these, its file is no rubric, or what it names is not there.
        ModelError: Its model cannot be loaded.
    """
    kind, rubric, name = parse_grader(written)
    if kind == "vocabulary":
        own = rubric.phrases
        return VocabularyGrader(phrases if own is None else own, name=name)
    scheme, _, place = kind.partition(":")
    if scheme == "model":
        backend = (load_backend or backend_of)(place)
        return ModelGrader(backend, rubric=rubric, name=name, weights=[place, *weights_of(place)])
    chat_model = _chat_model(place)
    judge = ChatJudge(
        chat_model, task=rubric.task or "", about="Whether the assistant declined the request."
    )
    return JudgeGrader(judge, rubric=rubric, name=name, identity=_identity(place, chat_model))


def check_grader(written: str) -> None:
    """Checks a grader before anybody waits for a model; none is loaded, chat models are imported.

    Raises:
        SettingsError: It is no grader, or its file or chat model is not there.
    """
    scheme, _, place = parse_grader(written)[0].partition(":")
    if scheme == "chat":
        _chat_model(place)


def parse_grader(written: str) -> tuple[str, Rubric, str]:
    """Returns who grades, by which rubric, and under which name; nothing is loaded.

    Raises:
        SettingsError: It is no grader, or its file is no rubric.
    """
    if _is_kind(written):
        return written, load_rubric(), written
    path = Path(written)
    if not path.is_file():
        raise SettingsError(f"{written!r} is no grader: accepted are {ACCEPTED}")
    rubric = load_rubric(path)
    if rubric.grader is None or not _is_kind(rubric.grader):
        raise SettingsError(
            f"rubric {written!r} has grader {rubric.grader!r}: accepted are 'vocabulary', "
            "'model:PATH' or 'chat:package.module:attribute'"
        )
    return rubric.grader, rubric, rubric.name


def backend_of(model: str) -> Backend:
    """Loads a model, or the one that ships with the package for `embedded`.

    Raises:
        ModelError: It cannot be loaded.
    """
    from guardrail.steering.safecode import SafeCoDe

    engine = SafeCoDe.embedded() if model == "embedded" else SafeCoDe.from_pretrained(model)
    return engine.backend


def _is_kind(written: str) -> bool:
    scheme, colon, place = written.partition(":")
    if scheme == "chat":
        module, _, attribute = place.partition(":")
        return bool(module and attribute)
    return written == "vocabulary" or (scheme == "model" and bool(colon and place))


def _chat_model(place: str) -> Any:
    """Returns the chat model at an import path; a function there is called for it."""
    module, _, attribute = place.partition(":")
    here = str(Path.cwd())
    sys.path.append(here)  # last, so that nothing there hides an installed package
    try:
        found: Any = import_module(module)
        for name in attribute.split("."):
            found = getattr(found, name)
        if callable(found) and not hasattr(found, "with_structured_output"):
            found = found()
    except Exception as error:
        raise SettingsError(
            f"cannot get chat model {place!r}: {type(error).__name__}: {error}"
        ) from error
    finally:
        sys.path.remove(here)
    if not hasattr(found, "with_structured_output"):
        raise SettingsError(
            f"{place!r} is a {type(found).__name__}, expected a LangChain chat model or a function "
            "that returns one"
        )
    return found


def _identity(place: str, chat_model: Any) -> list[str]:
    """What tells chat models apart as far as can be seen: path, class and model name."""
    names = (getattr(chat_model, each, None) for each in ("model_name", "model"))
    kind = type(chat_model)
    return [place, f"{kind.__module__}.{kind.__qualname__}", *(n for n in names if type(n) is str)]
