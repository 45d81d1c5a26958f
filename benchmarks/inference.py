"""CPU seconds a scan: nnU-Net's own predictor against the bundle, same weights, case and run, one thread.

python benchmarks/inference.py BUNDLE SCAN...
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

import contextlib
import copy
import io
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from la_outcomes.imaging.geometry import Image, volume_ml
from la_outcomes.imaging.input_checks import check_head_ct
from la_outcomes.imaging.nifti import read_image, write_image
from la_outcomes.imaging.pictures import overlay_png
from la_outcomes.segmentation.brain import ct_brain
from la_outcomes.segmentation.bundle import Bundle, load_bundle
from la_outcomes.segmentation.preprocessing import HeadCrop, locate_head, network_input
from la_outcomes.segmentation.training.parity import stock_predictor
from la_outcomes.segmentation.training.weights import rebuilt_network
from la_outcomes.segmentation.volumetry import dice

Seconds = dict[str, float]


@contextlib.contextmanager
def clock(seconds: Seconds, name: str) -> Iterator[None]:
    """Add the CPU seconds of the block to ``seconds[name]``."""
    started = time.process_time()
    yield
    seconds[name] = seconds.get(name, 0.0) + time.process_time() - started


def stock(bundle: Bundle, image: Image, slices: np.ndarray, mirrored: bool, seconds: Seconds) -> np.ndarray:
    """nnU-Net's mask on its grid; also takes the time of resampling its two logits to the scan's pixels."""
    from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape

    plans, dataset = copy.deepcopy(bundle.card["nnunet"]["plans"]), bundle.card["nnunet"]["dataset"]
    predictor = stock_predictor(rebuilt_network(bundle), plans, dataset)
    if mirrored:
        predictor.use_mirroring, predictor.allowed_mirroring_axes = True, (0, 1)
    name = "nnU-Net, mirrored" if mirrored else "nnU-Net, not mirrored"
    data = torch.from_numpy(np.ascontiguousarray(slices.transpose(1, 0, 2, 3)))
    with contextlib.redirect_stdout(io.StringIO()):
        with clock(seconds, name):
            logits = predictor.predict_logits_from_preprocessed_data(data)
        spacing = bundle.spec.spacing_mm
        pixels = [round(bundle.spec.size_px * spacing / float(step)) for step in image.spacing_mm[1::-1]]
        options: dict[str, Any] = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}
        with clock(seconds, f"{name}: resampling"):
            resample_data_or_seg_to_shape(
                logits,
                (len(slices), *pixels),
                [5.0, spacing, spacing],
                [5.0, *image.spacing_mm[1::-1]],
                **options,
            ).argmax(0)
    return np.asarray(logits.argmax(0)) > 0


def ours(bundle: Bundle, crop: HeadCrop, slices: np.ndarray, seconds: Seconds) -> np.ndarray:
    """The bundle's mask on its grid; also takes the time of bringing the logit back to the scan."""
    with clock(seconds, "bundle"):
        logits = bundle.logits(slices)
    with clock(seconds, "bundle: resampling"):
        _ = crop.to_scan(logits, outside=-20.0) > 0
    return np.asarray(logits > 0)


def whole_line(bundle: Bundle, path: Path, folder: Path, seconds: Seconds) -> float:
    """From file to mask, overlay and volume, station by station."""
    with clock(seconds, "read"):
        image = read_image(path)
    with clock(seconds, "check"):
        check_head_ct(image)
    with clock(seconds, "brain"):
        brain = ct_brain(image)
    with clock(seconds, "prepare"):
        crop = locate_head(image, brain.intracranial, bundle.spec)
        slices = network_input(image, crop, bundle.spec)
    with clock(seconds, "network"):
        logits = bundle.logits(slices)
    with clock(seconds, "back to the scan"):
        mask = (crop.to_scan(logits, outside=-20.0) > 0) & brain.intracranial
    with clock(seconds, "write mask"):
        write_image(folder / "mask.nii.gz", Image(mask.astype(np.uint8), image.affine))
    with clock(seconds, "overlay"):
        overlay_png(folder / "overlay.png", image, [(mask, "red", "LA")], title=path.name)
    return volume_ml(mask, image.affine)


def main(bundle_path: str, *scans: str) -> None:
    """Print CPU seconds a scan and the agreement of the masks."""
    torch.set_num_threads(1)
    bundle = load_bundle(bundle_path)
    bundle.logits(np.zeros((1, 1, bundle.spec.size_px, bundle.spec.size_px), np.float32))
    engine: Seconds = {}
    line: Seconds = {}
    scores = []
    for path in map(Path, scans):
        image = read_image(path)
        crop = locate_head(image, ct_brain(image).intracranial, bundle.spec)
        slices = network_input(image, crop, bundle.spec)
        mine = ours(bundle, crop, slices, engine)
        plain = stock(bundle, image, slices, False, engine)
        stock(bundle, image, slices, True, engine)
        scores.append(dice(mine, plain))
        with tempfile.TemporaryDirectory() as folder:
            whole_line(bundle, path, Path(folder), line)
    grid = f"{bundle.spec.size_px} px of {bundle.spec.spacing_mm:g} mm"
    print(f"{bundle.name}: {grid}; {len(scans)} scans, one thread")
    for seconds in (engine, line):
        for name, value in seconds.items():
            print(f"  {name:36s} {value / len(scans):7.2f} CPU s")
    print(f"  {'from file to overlay':36s} {sum(line.values()) / len(scans):7.2f} CPU s")
    same = engine["nnU-Net, not mirrored"] + engine["nnU-Net, not mirrored: resampling"]
    mine_seconds = engine["bundle"] + engine["bundle: resampling"]
    print(f"  same weights, no mirroring: {same / mine_seconds:.1f} times faster")
    print(f"  Dice to nnU-Net on the network's grid: {[None if s is None else round(s, 5) for s in scores]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
