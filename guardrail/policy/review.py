"""A human's word on a request that the policy escalated."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Review(BaseModel):
    """What a human said about a request that was escalated; it comes with the request run again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    request_id: str = Field(description="the request that was escalated", pattern="^[0-9a-f]{32}$")
    approved: bool
    by: str | None = Field(None, description="who, as the caller says", max_length=200)
