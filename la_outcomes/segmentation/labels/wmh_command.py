"""WMH by an external tool in an environment of its own: started, watched, its output checked."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from la_outcomes.errors import InputError, ResourceError
from la_outcomes.imaging.geometry import Array, Image, resample_to, volume_ml
from la_outcomes.imaging.nifti import read_mask, same_grid
from la_outcomes.segmentation.labels.wmh import Wmh
from la_outcomes.segmentation.labels.wmh_tool import WmhTool

_OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
_INPUT_FAULTS = "look at the log that is kept beside the labels"


def wmh_from_command(
    tool: WmhTool, flair_path: Path, flair: Image, log: Path, t1_path: Path | None = None
) -> Wmh:
    """Run ``tool`` on one FLAIR and read its soft map (0..1) on the FLAIR's grid.

    What the tool prints goes to ``log``. Raises ``ResourceError`` where it ran out of time or was killed
    (a rerun may succeed), ``InputError`` where it cannot be started, ends with an error, or leaves no
    usable map on the right grid.
    """
    if tool.command is None:
        raise InputError(f"the description of {tool.name} has no command")
    if tool.needs_t1 and t1_path is None:
        raise InputError(f"{tool.name} needs a T1", hint="fill t1_path in the table of pairs")
    with tempfile.TemporaryDirectory(prefix="la-outcomes-wmh-") as name:
        folder = Path(name)
        places = {"flair": flair_path.resolve(), "t1": t1_path and t1_path.resolve(), "folder": folder,
                  "out": folder / "wmh.nii.gz"}  # fmt: skip
        _run(tool, tool.arguments(places), folder, log)
        values = {key: str(path) for key, path in places.items()}
        soft = _read(tool, Path(tool.output.format(**values)), flair)
    return Wmh(soft, volume_ml(soft.data, soft.affine), "command", f"{tool.name} {tool.version}")


def _run(tool: WmhTool, arguments: list[str], folder: Path, log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb") as handle:
        try:
            process = subprocess.Popen(
                arguments,
                cwd=folder,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            hint = "is it installed, and on the PATH or named by its full path?"
            raise InputError(f"{tool.name} cannot be started: {error.strerror}", hint=hint) from error
        code = _wait(process, tool)
    if code < 0:
        raise ResourceError(f"{tool.name} was killed by signal {-code}", hint="often: out of memory")
    if code > 0:
        raise InputError(f"{tool.name} ended with exit code {code}", hint=_INPUT_FAULTS)


def _environment() -> Mapping[str, str]:
    """Ours without what would lead another Python to our packages."""
    return {name: value for name, value in os.environ.items() if name not in _OURS}


def _wait(process: subprocess.Popen[bytes], tool: WmhTool) -> int:
    """Exit code; whatever else ends the wait, the tool and its children are ended too."""
    try:
        return process.wait(tool.time_limit_minutes * 60)
    except subprocess.TimeoutExpired as error:
        limit = f"{tool.time_limit_minutes:g} minutes"
        raise ResourceError(
            f"{tool.name} did not end within {limit}", hint="raise time_limit_minutes"
        ) from error
    finally:
        if process.poll() is None:
            _kill(process)
            process.wait()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the tool, and its children where the system has process groups."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


def _read(tool: WmhTool, path: Path, flair: Image) -> Image:
    if not path.is_file():
        raise InputError(f"{tool.name} ended well but left no map ({path.name})", hint=_INPUT_FAULTS)
    found = read_mask(path)
    if tool.labels:
        values: Array = np.isin(found.data, tool.labels).astype(np.float32)
    else:
        values = found.data.astype(np.float32)
    if not (values.min() >= 0 and values.max() <= 1):
        hint = "name the values that are WMH under `labels`"
        raise InputError(f"the map of {tool.name} holds values outside 0 to 1", hint=hint)
    soft = Image(values, found.affine)
    if same_grid(soft, flair):
        return Image(values, flair.affine)
    if tool.grid == "flair":
        raise InputError(
            f"the map of {tool.name} does not lie on the FLAIR's grid ({soft.shape}, FLAIR {flair.shape})",
            hint="grid: own, where the tool resamples within the same space",
        )
    return _shares_on(soft, flair)


def _shares_on(soft: Image, flair: Image) -> Image:
    """Mean share over each voxel of the FLAIR: sampled as finely as the map, then averaged."""
    finest = float(soft.spacing_mm.min())
    factors = [max(int(np.ceil(step / finest - 0.01)), 1) for step in flair.spacing_mm]
    affine = flair.affine.copy()
    affine[:3, :3] = affine[:3, :3] / factors
    affine[:3, 3] -= sum(affine[:3, axis] * (n - 1) / 2 for axis, n in enumerate(factors))
    fine_shape = [n * factor for n, factor in zip(flair.shape, factors, strict=True)]
    fine = resample_to(soft, fine_shape, affine, interpolator="linear", outside=0.0).data
    blocks = [size for n, factor in zip(flair.shape, factors, strict=True) for size in (n, factor)]
    return Image(np.clip(fine.reshape(blocks).mean(axis=(1, 3, 5)), 0, 1), flair.affine)
