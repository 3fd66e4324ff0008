"""What a policy says of the contrast of a judge's verdicts, which is not that of the answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict

from guardrail.policy.section import Section
from guardrail.policy.values import Unsigned


class JudgeContrast(Section):
    """A local judge's log-odds l, contrasted with those without the picture: l + alpha (l - l').

    Attributes:
        counterfactual: What the judge is shown the second time: `grey` pictures of the same sizes,
            at the cost of a prompt for every request with a picture; `none` is no second look.
        alpha: How much the difference adds; 0 adds nothing, and looks once.
    """

    counterfactual: Literal["grey", "none"] = "none"
    alpha: Annotated[float, Strict(), Field(ge=0, le=10), Unsigned] = 1.0

    @property
    def looks(self) -> bool:
        """Whether there is a second look to contrast with."""
        return self.counterfactual != "none" and self.alpha > 0
