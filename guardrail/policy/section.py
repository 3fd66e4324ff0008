"""What every part of a policy is: a frozen pydantic model that knows all its keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from guardrail.policy.docstring import Docstring


class Section(BaseModel):
    """Base of every part of a policy: frozen, and closed to unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Any:
        """Returns a checked copy; unlike pydantic's, `update` is validated and no cache is kept."""
        return type(self).model_validate({**self.model_dump(), **(update or {})})

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Returns the JSON Schema, in which each key is described by the docstrings' words."""
        schema = handler(core_schema)
        found = handler.resolve_ref_schema(schema)
        found["description"] = Docstring.of(cls).text
        for base in reversed(cls.__mro__):
            for name, words in Docstring.of(base).attributes.items():
                if name in found.get("properties", {}):
                    found["properties"][name]["description"] = words
        return schema
