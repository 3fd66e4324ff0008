"""A human's word on a request that the policy escalated."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Review(BaseModel):
    """What a human said about a request that was escalated; it comes with the request run again.

    An approval counts with the token of the `Escalation` alone: for the same content and policy,
    once, and for a limited time. A rejection needs none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    request_id: str = Field(description="the request that was escalated", pattern="^[0-9a-f]{32}$")
    approved: bool
    by: str | None = Field(None, description="who, as the caller says", max_length=200)
    token: str | None = Field(
        None, description="that of the escalation; records leave it out", max_length=200, repr=False
    )
    honoured: bool = Field(
        True, description="whether it counted; what a caller says of it does not"
    )

    def settles(self, *, escalated: bool) -> bool:
        """Whether it changes what was decided: a rejection does, and of what was escalated an
        approval that is honoured.
        """
        return not self.approved or (self.honoured and escalated)
