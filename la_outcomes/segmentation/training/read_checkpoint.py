"""Run as a process of its own: the weights of an nnU-Net checkpoint into safetensors.

``python -m la_outcomes.segmentation.training.read_checkpoint CHECKPOINT OUT``. The file is a pickle from
outside: it is read with torch's restricted unpickler, which builds tensors, numbers and containers and
nothing else, and what it might break is this process alone.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def harmless_globals() -> list[Any]:
    """NumPy's scalars, which nnU-Net keeps in its training curves, under their old and new names."""
    import numpy as np
    from numpy._core.multiarray import scalar

    kinds = [type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "b1")]
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    return [np.dtype, *kinds, *[(scalar, name) for name in names]]


def read_network_weights(checkpoint: Path) -> dict[str, Any]:
    """The tensors under ``network_weights``; raises whatever torch raises for anything unsafe or broken."""
    import torch

    with torch.serialization.safe_globals(harmless_globals()):
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    weights = content["network_weights"]
    return {
        str(name).removeprefix("module."): tensor.detach().float().clone().contiguous()
        for name, tensor in weights.items()
    }


def main(checkpoint: str, out: str) -> None:
    """Read one file and write the other."""
    from safetensors.torch import save_file

    save_file(read_network_weights(Path(checkpoint)), out)


if __name__ == "__main__":
    main(*sys.argv[1:])
