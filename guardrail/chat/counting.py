"""How many tokens messages cost: as the model itself is given them, pictures and tools included."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

from guardrail.chat.tools import ToolCallingChatModel
from guardrail.errors import MessageError
from guardrail.request.conversation import Conversation, Turn


class CountingChatModel(ToolCallingChatModel):
    """A chat model that counts a request as its `usage_metadata` will."""

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None
    ) -> int:
        """Returns the prompt's tokens: text, pictures, tools, and what the template puts around.

        A part of a conversation that the model's template would refuse (`trim_messages` tries
        such) is counted turn by turn, which is rather too much than too little.

        Args:
            messages: As for `invoke`.
            tools: As for `bind_tools`.

        Raises:
            MessageError: A message holds what cannot be passed on.
            PictureError: A picture cannot be read or is not allowed.
        """
        if not any(bool(each.content) or bool(_calls(each)) for each in messages):
            return 0  # nothing that could be asked
        if self.custom_get_token_ids is not None:
            return super().get_num_tokens_from_messages(messages, tools)
        conversation = self._conversation(messages, {"tools": tools})
        try:
            return self._counted(conversation)
        except MessageError:
            return sum(self._counted_alone(turn) for turn in conversation.turns) + self._in_text(
                conversation.tools
            )

    def _counted(self, conversation: Conversation) -> int:
        count: int = self.engine.count_tokens(conversation)
        return count

    def _counted_alone(self, turn: Turn) -> int:
        calls = self._in_text(turn.tool_calls)
        try:
            return self._counted(Conversation((Turn("user", turn.parts or ("",)),))) + calls
        except MessageError:
            return len(self.get_token_ids(turn.text)) + calls

    def _in_text(self, plain: Sequence[Any]) -> int:
        texts = [json.dumps(each, default=str, ensure_ascii=False) for each in plain]
        return sum(len(self.get_token_ids(text)) for text in texts)


def _calls(message: BaseMessage) -> Sequence[Any]:
    return message.tool_calls if isinstance(message, AIMessage) else ()
