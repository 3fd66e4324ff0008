"""What a model family may need beyond the generic path, and how its adapter is found.

An adapter is a small object published under the entry-point group `guardrail.adapters`, its name
the family's `model_type`. The core names none of them; someone else's package plugs in by the same
door.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Literal

from guardrail.errors import ModelError
from guardrail.request.conversation import Conversation, Turn

GROUP = "guardrail.adapters"


@dataclass(frozen=True)
class Adapter:
    """The quirks of one family.

    Attributes:
        shares_prefix: Whether the judge may go on from the answer's own prompt. Not so where a
            prompt attends to itself in both directions, or where picture features depend on the
            text.
        render: Turns and processor to prompt text, for processors without a chat template. Pictures
            are written as the processor wants them.
        process: Calls the processor with (processor, texts, pictures per text, **options), where it
            wants them in another form than `processor(text=…, images=[[…], …], **options)`.
        needs_picture: Whether the family cannot answer without a picture.
        batches: Which requests may share a batch, so that each row is as it would be alone: `any`,
            those with equally many `pictures`, or none (`alone`).
    """

    shares_prefix: bool = True
    render: Callable[[Sequence[Turn], Any], str] | None = None
    process: Callable[..., Any] | None = None
    needs_picture: bool = False
    batches: Literal["any", "pictures", "alone"] = "any"

    def batch_groups(self, conversations: Sequence[Conversation]) -> list[list[int]]:
        """Returns the places of the conversations that may run together, group by group."""
        if self.batches == "alone":
            return [[at] for at in range(len(conversations))]
        groups: dict[int, list[int]] = {}
        for at, conversation in enumerate(conversations):
            key = len(conversation.pictures) if self.batches == "pictures" else 0
            groups.setdefault(key, []).append(at)
        return list(groups.values())


def find_adapter(model_type: str) -> Adapter:
    """Returns the adapter published for `model_type`, or the generic one.

    Raises:
        ModelError: Several packages publish one, or what is published is no `Adapter`.
    """
    found = list(entry_points(group=GROUP, name=model_type))
    if not found:
        return Adapter()
    if len(found) > 1:
        sources = ", ".join(sorted(entry.value for entry in found))
        raise ModelError(f"several adapters claim model type {model_type!r}: {sources}")
    adapter = found[0].load()
    if not isinstance(adapter, Adapter):
        raise ModelError(f"{found[0].value} is a {type(adapter).__name__}, expected an Adapter")
    return adapter
