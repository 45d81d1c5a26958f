"""CPU seconds a scan: nnU-Net's own predictor against the bundle, same weights, case and run, one thread.

python benchmarks/inference.py BUNDLE SCAN... [--engines]

nnU-Net's predictor gets every slice of the scan on the network's grid, with and without mirroring; the
bundle gets the slices that hold brain. What the engine, the skipped slices and the resampling gain is told
apart, and apart from what leaving mirroring out gains. Then the whole line from file to overlay, station by
station, and CPU seconds and peak memory of ``la-outcomes segment`` on the largest scan, in a process of its
own as a worker is. ``--engines`` also repeats the parity of every installed engine.
"""

# ruff: noqa: E402 - threads are limited, and this folder taken off the path, before anything is imported.
from __future__ import annotations

import os
import sys

# As a script's folder this one would hide the standard library's ``statistics`` behind statistics.py.
sys.path = [
    place for place in sys.path if os.path.realpath(place) != os.path.dirname(os.path.realpath(__file__))
]
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
    os.environ[_name] = "1"

import argparse
import contextlib
import io
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from la_outcomes.errors import LaOutcomesError
from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import read_image, write_image
from la_outcomes.imaging.pictures import overlay_png
from la_outcomes.segmentation.brain import ct_brain
from la_outcomes.segmentation.bundle import Bundle, load_bundle, opened
from la_outcomes.segmentation.engines import ENGINES
from la_outcomes.segmentation.measurement import HeadMeasurement
from la_outcomes.segmentation.outputs import LA
from la_outcomes.segmentation.preprocessing import HeadCrop, locate_head, network_input
from la_outcomes.segmentation.training.parity import repeat_parity, stock_predictor
from la_outcomes.segmentation.training.weights import rebuilt_networks
from la_outcomes.segmentation.volumetry import dice

Seconds = dict[str, float]
# The kernel's own high-water mark: a child's ru_maxrss also counts what its parent held when it started.
_WORKER = """
import sys
from la_outcomes.cli.main import run
code = run(sys.argv[1:])
print([line for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
sys.exit(code)
"""
MIRRORED, PLAIN = "nnU-Net, mirrored", "nnU-Net, not mirrored"


@dataclass(frozen=True, eq=False)
class Case:
    """A scan, where the head lies in it, and the network's input: every slice, and the brain's."""

    image: Image
    crop: HeadCrop
    every: npt.NDArray[np.float32]
    brain: npt.NDArray[np.float32]


def prepared(path: Path, bundle: Bundle) -> Case:
    """Read a scan and bring it to the network's grid."""
    image = read_image(path)
    crop = locate_head(image, ct_brain(image).intracranial, bundle.spec)
    whole = replace(crop, first_slice=0, last_slice=image.shape[2])
    return Case(
        image, crop, network_input(image, whole, bundle.spec), network_input(image, crop, bundle.spec)
    )


@contextlib.contextmanager
def clock(seconds: Seconds, name: str) -> Iterator[None]:
    """Add the CPU seconds of the block to ``seconds[name]``."""
    started = time.process_time()
    yield
    seconds[name] = seconds.get(name, 0.0) + time.process_time() - started


def stock(predictor: Any, case: Case, bundle: Bundle, seconds: Seconds) -> npt.NDArray[np.bool_]:
    """nnU-Net's mask on its grid, of the brain's slices; also times its resampling to the scan's pixels."""
    name = MIRRORED if predictor.use_mirroring else PLAIN
    with contextlib.redirect_stdout(io.StringIO()):
        with clock(seconds, name):
            logits = predictor.predict_logits_from_preprocessed_data(_volume(case.every))
        if not predictor.use_mirroring:
            with clock(seconds, f"{PLAIN}, the brain's slices alone"):
                predictor.predict_logits_from_preprocessed_data(_volume(case.brain))
            with clock(seconds, "nnU-Net: resampling of two logits"):
                _resampled(logits, case, bundle.spec.spacing_mm).argmax(0)
    return np.asarray(logits.argmax(0))[case.crop.first_slice : case.crop.last_slice] > 0


def _volume(slices: npt.NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(slices.transpose(1, 0, 2, 3).copy())


def _resampled(logits: Any, case: Case, spacing_mm: float) -> Any:
    from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape

    steps = [float(step) for step in case.image.spacing_mm[1::-1]]
    pixels = [round(case.every.shape[-1] * spacing_mm / step) for step in steps]
    options: dict[str, Any] = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}
    shape, before, after = (len(case.every), *pixels), [5.0, spacing_mm, spacing_mm], [5.0, *steps]
    return resample_data_or_seg_to_shape(logits, shape, before, after, **options)


def ours(bundle: Bundle, case: Case, seconds: Seconds) -> npt.NDArray[np.bool_]:
    """The bundle's mask on its grid; also times the way back to the scan."""
    with clock(seconds, "bundle"):
        log_odds = bundle.predict(case.brain)[LA]
    with clock(seconds, "bundle: resampling of one channel"):
        case.crop.mask_on_scan(log_odds)
    return np.asarray(log_odds > 0)


def whole_line(bundle: Bundle, path: Path, folder: Path, seconds: Seconds) -> None:
    """From file to mask, overlay and volume, station by station."""
    with clock(seconds, "read"):
        image = read_image(path)
    scan = HeadMeasurement(image, bundle)
    with clock(seconds, "brain"):
        scan.rough  # noqa: B018 - computed when first asked for
    with clock(seconds, "prepare and network"):
        scan.reading  # noqa: B018
    with clock(seconds, "checks, mask on the scan, volumes"):
        found = scan.segmentation()
    with clock(seconds, "write mask"):
        write_image(folder / "mask.nii.gz", Image(found.mask.astype(np.uint8), image.affine))
    with clock(seconds, "overlay"):
        overlay_png(folder / "overlay.png", image, [(found.mask, "red", "LA")], title=path.name)


def worker(bundle: Bundle, scan: Path, folder: Path) -> tuple[float, float]:
    """Peak memory (GB) and CPU seconds, start included, of ``la-outcomes segment`` on one scan."""
    arguments = ["segment", str(scan), "--model", str(bundle.path), "--out", str(folder / "worker")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", _WORKER, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return int(done.stdout.split()[-2]) * 1024 / 1e9, seconds


def tell(title: str, seconds: Seconds, scans: int) -> None:
    """A table of CPU seconds a scan."""
    print(f"\n| {title} | CPU s a scan |\n| --- | --- |")
    for name, value in seconds.items():
        print(f"| {name} | {value / scans:.2f} |")


def tell_ratios(engine: Seconds, scores: Sequence[float | None]) -> None:
    """How many times faster, and by what."""
    alone = engine[f"{PLAIN}, the brain's slices alone"]
    resampling, back = (
        engine["nnU-Net: resampling of two logits"],
        engine["bundle: resampling of one channel"],
    )
    whole = (engine[PLAIN] + resampling) / (engine["bundle"] + back)
    told = [score for score in scores if score is not None]
    print(f"\nsame weights, no mirroring: {whole:.2f} times faster than nnU-Net's predictor")
    print(
        f"  the engine {alone / engine['bundle']:.2f}, slices without brain {engine[PLAIN] / alone:.2f}, ",
        end="",
    )
    print(f"resampling {resampling / back:.2f} times")
    print(f"leaving mirroring out, apart from that: {engine[MIRRORED] / engine[PLAIN]:.2f} times")
    lowest = f"{min(told):.5f}" if told else "not defined"
    print(f"lowest Dice to nnU-Net on the network's grid: {lowest} in {len(told)} scans with foreground")


def tell_engines(bundle: Bundle, paths: Sequence[Path], cases: Sequence[Case]) -> None:
    """Parity and CPU seconds of each installed engine."""
    print("\n| engine | CPU s a scan | lowest Dice | may be used |\n| --- | --- | --- | --- |")
    for engine in ENGINES:
        other = opened(bundle.path, bundle.card, engine, "cpu")
        try:
            other.predict(cases[0].brain[:1])
        except LaOutcomesError as error:
            print(f"| {engine} | {error.what} | | |")
            continue
        seconds: Seconds = {}
        with clock(seconds, engine):
            for case in cases:
                other.predict(case.brain)
        parity = repeat_parity(other, paths)
        lowest = parity["dice_min"]
        told = "not defined" if lowest is None else f"{lowest:.5f}"
        usable = "yes" if parity["equivalent"] else f"no{': ' + parity['reason'] if parity['reason'] else ''}"
        print(f"| {engine} | {seconds[engine] / len(cases):.2f} | {told} | {usable} |")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print CPU seconds a scan and the agreement of the masks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("scans", type=Path, nargs="+")
    parser.add_argument("--engines", action="store_true", help="parity and speed of every installed engine")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    bundle = load_bundle(options.bundle)
    bundle.predict(np.zeros((1, bundle.spec.slices, *[bundle.spec.size_px] * 2), np.float32))
    line: Seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in options.scans:
            whole_line(bundle, path, Path(folder), line)
        largest = max(options.scans, key=lambda path: path.stat().st_size)
        peak, seconds = worker(bundle, largest, Path(folder))
    nnunet = bundle.card["nnunet"]
    predictor = stock_predictor(rebuilt_networks(bundle), nnunet["plans"], nnunet["dataset"])
    engine: Seconds = {}
    cases = [prepared(path, bundle) for path in options.scans]
    scores = []
    for case in cases:
        mine = ours(bundle, case, engine)
        predictor.use_mirroring, predictor.allowed_mirroring_axes = True, (0, 1)
        stock(predictor, case, bundle, engine)
        predictor.use_mirroring = False
        scores.append(dice(mine, stock(predictor, case, bundle, engine)))
    shapes = ", ".join(sorted({"x".join(map(str, case.image.shape)) for case in cases}))
    grid = f"{bundle.spec.size_px} px of {bundle.spec.spacing_mm:g} mm"
    print(f"{bundle.name}: {grid}; {len(cases)} scans ({shapes}), one thread")
    tell("network", engine, len(cases))
    tell_ratios(engine, scores)
    tell("from file to overlay", line | {"all of it": sum(line.values())}, len(cases))
    print(f"\nla-outcomes segment, a process of its own, on {largest.name}: ", end="")
    print(f"peak memory {peak:.2f} GB; {seconds:.1f} CPU s with its start")
    if options.engines:
        tell_engines(bundle, options.scans, cases)


if __name__ == "__main__":
    main()
