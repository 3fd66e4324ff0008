"""The guardrail around LangChain agents, whatever their model: `GuardrailMiddleware`.

Needs the extra `agents`.
"""

from guardrail.chat.agents.middleware import GuardrailMiddleware

__all__ = ["GuardrailMiddleware"]
