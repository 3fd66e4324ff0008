"""Building, saving and loading a family's tiny checkpoint."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock
from zlib import crc32

import torch
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    PreTrainedModel,
    ProcessorMixin,
    processing_utils,
)
from transformers.models.smolvlm import processing_smolvlm

from .catalogue import RECIPES
from .parts import NoVideos
from .weights import spread_weights


class _Absent:
    def __init__(self, stand_in: object) -> None:
        self._stand_in = stand_in

    def from_pretrained(self, *_: object, **__: object) -> object:
        return self._stand_in


_ABSENT = {"video_processor": _Absent(NoVideos()), "feature_extractor": _Absent(None)}


@contextmanager
def _pictures_and_text_only() -> Iterator[None]:
    """Lets processors be made and loaded without the parts that want torchvision or audio.

    The tests show no videos and play no sounds.
    """
    check = ProcessorMixin.check_argument_for_proper_class

    def lenient(self: ProcessorMixin, name: str, argument: object) -> object:
        absent = argument is None or isinstance(argument, NoVideos)
        return None if absent else check(self, name, argument)

    mapping = processing_utils.MODALITY_TO_AUTOPROCESSOR_MAPPING
    names = list(mapping.keys())  # a lazy dict, which looks empty when iterated over
    loaders = {k: _ABSENT.get(k) or mapping[k] for k in names}
    with (
        mock.patch.object(ProcessorMixin, "check_argument_for_proper_class", lenient),
        mock.patch.object(processing_utils, "MODALITY_TO_AUTOPROCESSOR_MAPPING", loaders),
        mock.patch.object(processing_smolvlm, "num2words", str),  # says when a frame was taken
    ):
        yield


@contextmanager
def _absent_parts_not_saved() -> Iterator[None]:
    attributes = ProcessorMixin.get_attributes.__func__

    def present(cls: type[ProcessorMixin]) -> list[str]:
        return [name for name in attributes(cls) if name not in _ABSENT]

    with mock.patch.object(ProcessorMixin, "get_attributes", classmethod(present)):
        yield


@functools.cache
def build(family: str) -> tuple[PreTrainedModel, ProcessorMixin]:
    """The family's tiny model and processor: float32, eval mode, the same in every process.

    Cached: callers share what is returned and must not change it.
    """
    recipe = RECIPES[family]
    with _pictures_and_text_only():
        config, processor = recipe.make()
    seed = crc32(family.encode()) + recipe.seed
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForImageTextToText.from_config(config, dtype=torch.float32)
    spread_weights(model, seed=seed)
    return model.eval(), processor


def save(family: str, folder: Path) -> None:
    """Writes the family's checkpoint and processor into `folder`."""
    model, processor = build(family)
    model.save_pretrained(folder)
    with _absent_parts_not_saved():
        processor.save_pretrained(folder)


def load(folder: Path) -> tuple[PreTrainedModel, ProcessorMixin]:
    """What `save` wrote, through the auto classes, with or without torchvision."""
    model = AutoModelForImageTextToText.from_pretrained(folder)
    with _pictures_and_text_only():
        processor = AutoProcessor.from_pretrained(folder)
    return model.eval(), processor
