"""The machine that models run on: threads, memory, and what it is called. For measuring."""

from __future__ import annotations

from typing import Any

import torch
import transformers

DTYPES = ("float32", "bfloat16", "float16")


def dtype_named(name: str | None) -> torch.dtype | None:
    """Returns one of `DTYPES` by its name; None for None."""
    return getattr(torch, name) if name is not None else None


def has_cuda() -> bool:
    """Whether there is a CUDA device here."""
    return torch.cuda.is_available()


def threads() -> int:
    """Returns how many threads a computation on the CPU takes."""
    return torch.get_num_threads()


def set_threads(count: int) -> None:
    """Sets how many threads a computation on the CPU takes, in this process."""
    torch.set_num_threads(count)


def synchronize(device: str) -> None:
    """Waits until a device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def forget_cuda_peak() -> None:
    """Lets the CUDA allocator's peak begin anew."""
    torch.cuda.reset_peak_memory_stats()


def cuda_peak_bytes() -> int:
    """Returns the most that the CUDA allocator has held."""
    return torch.cuda.max_memory_allocated()


def versions() -> dict[str, str]:
    """Returns what models are run by, and the GPU's name if there is one."""
    found = {"torch": torch.__version__, "transformers": transformers.__version__}
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found


def described(model: Any) -> dict[str, Any]:
    """Returns what a model is: its type, size, dtype and device."""
    return {
        "model_type": model.config.model_type,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": model.device.type,
    }
