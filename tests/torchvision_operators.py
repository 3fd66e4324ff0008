"""torchvision's Python part beside a torch that its compiled operators were not built for.

`pip install torchvision` next to a CPU build of torch brings such a pair: importing it then fails,
since it registers shapes for operators (`torchvision::nms`, …) that nobody has defined. Image
processors only resize and normalise and need none of them. Where the operators load, nothing is
done here.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.library import Library

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
"""The operators without which `import torchvision` fails; calling one still fails."""

_defined: list[Library] = []  # definitions last as long as their library does


def define_missing_operators() -> None:
    """Defines, without an implementation, what `import torchvision` would not find."""
    found = importlib.util.find_spec("torchvision")
    if found is None or not found.submodule_search_locations:
        return
    import torch  # not for tests of what runs without it

    for path in Path(found.submodule_search_locations[0]).glob("_C*.so"):
        try:
            torch.ops.load_library(path)
        except OSError:  # linked against another torch, or against CUDA
            continue
    missing = [s for s in _SCHEMAS if not hasattr(torch.ops.torchvision, s.partition("(")[0])]
    if missing:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for schema in missing:
            library.define(schema)
        _defined.append(library)
