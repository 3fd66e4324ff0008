"""ShieldGemma 2, which classifies pictures against policies written as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from guardrail.backends.transformers.prompt import to_device
from guardrail.errors import ModelError


class ShieldGemma:
    """The classifier and its processor.

    Args:
        model: A `ShieldGemma2ForImageClassification`.
        processor: Its processor.
    """

    def __init__(self, model: Any, processor: Any) -> None:
        self._model, self._processor = model, processor

    @classmethod
    def load(cls, path_or_id: str | Path) -> ShieldGemma:
        """Loads both.

        Raises:
            ModelError: They cannot be loaded.
        """
        from transformers import AutoModelForImageClassification, AutoProcessor

        try:
            processor = AutoProcessor.from_pretrained(str(path_or_id))
            model = AutoModelForImageClassification.from_pretrained(str(path_or_id))
        except Exception as error:
            raise ModelError(f"cannot load the judge {str(path_or_id)!r}: {error}") from error
        return cls(model.eval(), processor)

    @torch.no_grad()
    def p_violation(
        self, pictures: Sequence[Image.Image], policies: Mapping[str, str]
    ) -> list[float]:
        """Returns each policy's highest probability of a violation over all pictures, in [0, 1].

        Args:
            pictures: One or more, RGB.
            policies: What is not allowed, in words, by name.
        """
        inputs = self._processor(
            images=[[picture] for picture in pictures],
            policies=list(policies),
            custom_policies=dict(policies),
            return_tensors="pt",
        )
        p = self._model(**to_device(inputs, self._model)).probabilities[:, 0]
        worst: list[float] = p.view(len(pictures), len(policies)).amax(0).tolist()
        return worst
