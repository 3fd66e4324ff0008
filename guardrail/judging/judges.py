"""Judges that are local models: the guarded one by its own caption, or a second one.

Each is a callable from a `JudgeRequest` to a `Verdict`; whatever one raises is an unavailable
verdict. All of them read probabilities; none compares an answer as a string. How a model comes to
its words is its backend's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from PIL import Image

from guardrail.backends import Backend
from guardrail.errors import JudgeError
from guardrail.judging.judge import Judge, JudgeRequest
from guardrail.policy.verdict import Verdict
from guardrail.request.conversation import Conversation, Picture, question

CAPTION_REQUEST = (
    "Describe this scene: the place, the people and things in it, and how they stand to each other."
)


def load_judge(path_or_id: str | Path) -> Judge:
    """Loads a second local model as a judge, by its own prompt format.

    ShieldGemma 2 is asked about each category as a policy of its own; guard models whose template
    makes them answer *safe* or *unsafe* (Llama Guard) read the conversation; any other multimodal
    LLM is asked the categories' questions.

    Raises:
        ModelError: It cannot be loaded.
    """
    from guardrail.backends.transformers.backend import TransformersBackend
    from guardrail.backends.transformers.loading import model_type
    from guardrail.backends.transformers.shield_gemma import ShieldGemma

    if model_type(path_or_id) == "shieldgemma2":
        return PictureJudge(ShieldGemma.load(path_or_id))
    backend = TransformersBackend.load(path_or_id)
    if "unsafe" in str(getattr(backend.processor, "chat_template", "") or ""):
        return GuardModelJudge(backend)
    return QuestionJudge(backend)


class QuestionJudge:
    """A multimodal LLM that is asked each category's question about the conversation.

    Args:
        backend: Runs it.
    """

    source = "model"

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __call__(self, request: JudgeRequest) -> Verdict:
        """Returns P(yes) for each category."""
        asked = [request.conversation.ask(text) for text in request.questions.values()]
        p = self._backend.p_yes(asked)
        return Verdict(dict(zip(request.questions, p, strict=True)), source=self.source)


class CaptionJudge(QuestionJudge):
    """The paper's judge: the model describes the scene, then judges request and description.

    Source: SafeCoDe (arXiv 2509.19212), scene-level verdict; we read its probability off the
    labels, and keep the pictures where a family cannot do without.
    """

    source = "caption"

    def __init__(self, backend: Backend, *, max_new_tokens: int = 64) -> None:
        super().__init__(backend)
        self._max_new_tokens = max_new_tokens

    def __call__(self, request: JudgeRequest) -> Verdict:
        """Returns P(yes) for each category, given the caption instead of the pictures."""
        pictures = request.conversation.pictures
        if not pictures:
            return super().__call__(request)
        caption = self._describe(pictures)
        if not caption.strip():
            raise JudgeError("the model describes the scene with no word")
        words = _in_words(request.conversation, caption)
        needed = pictures if self._backend.needs_picture else ()
        told = JudgeRequest(question(words, needed), request.questions)
        verdict = super().__call__(told)
        return Verdict(verdict.categories, source=self.source, details={"caption": caption})

    def _describe(self, pictures: tuple[Picture, ...]) -> str:
        asked = question(CAPTION_REQUEST, pictures)
        return self._backend.say(asked, max_new_tokens=self._max_new_tokens)


class GuardModelJudge:
    """A guard model that reads a conversation and answers *safe* or *unsafe* (Llama Guard 3, 4).

    Its one probability counts for every category of the policy.

    Args:
        backend: Runs it.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __call__(self, request: JudgeRequest) -> Verdict:
        """Returns P(unsafe), for every category."""
        p = self._backend.p_word(request.conversation, "unsafe", "safe")
        return Verdict(dict.fromkeys(request.questions, p), source="model")


class PictureClassifier(Protocol):
    """Classifies pictures against policies written as text."""

    def p_violation(
        self, pictures: Sequence[Image.Image], policies: Mapping[str, str]
    ) -> list[float]:
        """Returns each policy's highest probability of a violation, in [0, 1]."""


class PictureJudge:
    """A classifier of pictures (ShieldGemma 2), which does not read the request itself.

    Each category's question is given as a policy of its own.

    Args:
        classifier: The model.
    """

    def __init__(self, classifier: PictureClassifier) -> None:
        self._classifier = classifier

    def __call__(self, request: JudgeRequest) -> Verdict:
        """Returns each category's highest probability of a violation over all pictures."""
        pictures = request.conversation.pictures
        if not pictures:
            raise JudgeError("ShieldGemma 2 judges pictures, and there is none")
        images = [picture.image for picture in pictures]
        p = self._classifier.p_violation(images, request.questions)
        return Verdict(dict(zip(request.questions, p, strict=True)), source="model")


def _in_words(conversation: Conversation, caption: str) -> str:
    said = [f"{turn.role}: {turn.text}" for turn in conversation.turns if turn.text]
    return "\n".join([f"The picture shows: {caption.strip()}", *said])
