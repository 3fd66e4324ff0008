"""From samples to requests: conversations, in batches that are the same whenever they are asked.

Batches are fixed by the samples and the batch size alone: whoever goes on where another one stopped
asks in the same company, and so gets the same answers. It asks nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from PIL import Image

from guardrail.errors import PictureError
from guardrail.evaluation.dataset import Sample
from guardrail.policy import Policy
from guardrail.request.conversation import Conversation, Picture, question
from guardrail.request.pictures import load_picture

BLANK_SIZE = (224, 224)
BLANK_GREY = (127, 127, 127)
JUDGE_TIMEOUT_S = 600.0


def batches(samples: Iterable[Sample], size: int) -> Iterator[list[Sample]]:
    """Yields the samples in batches; neighbours have questions of similar length: little padding.

    Blank samples, which not every system is asked, keep to themselves: the others are always asked
    in the same company. So do those without a picture: what is asked beside one is padded for it.
    """
    ordered = sorted(samples, key=lambda each: (len(each.question), each.question, each.id))
    for kind in ("pictured", "text", "blank"):
        alike = [each for each in ordered if _kind(each) == kind]
        for start in range(0, len(alike), size):
            yield alike[start : start + size]


def _kind(sample: Sample) -> str:
    if sample.side == "blank":
        return "blank"
    return "text" if sample.text_only else "pictured"


def conversation_of(sample: Sample) -> Conversation:
    """Returns what the model is asked.

    Raises:
        PictureError: The sample's picture cannot be read.
    """
    if sample.text_only:
        return question(sample.question)
    if sample.picture is None:
        return question(sample.question, [_blank()])
    try:
        return question(sample.question, [load_picture(sample.picture)])
    except PictureError as error:
        raise PictureError(f"sample {sample.id!r}: {error}") from error


@lru_cache(maxsize=1)
def _blank(size: tuple[int, int] = BLANK_SIZE) -> Picture:
    return load_picture(Image.new("RGB", size, BLANK_GREY))


def unhurried(policy: Policy) -> Policy:
    """Returns the policy with a judge that gets all the time there is.

    A batch shares one clock, and what is measured is the policy, not the speed of the machine.
    """
    judge = policy.judge.model_copy(update={"timeout_s": JUDGE_TIMEOUT_S})
    changed: Policy = policy.model_copy(update={"judge": judge})
    return changed
