"""Does the exported model say what nnU-Net's own predictor says? Measured for every export."""

from __future__ import annotations

import contextlib
import copy
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from la_outcomes.errors import InputError
from la_outcomes.execution import progress_bar
from la_outcomes.imaging.nifti import read_image
from la_outcomes.segmentation.brain import ct_brain
from la_outcomes.segmentation.bundle import SLICES_AT_ONCE, Bundle, opened, read_card, write_card
from la_outcomes.segmentation.engines import DEFAULT_ENGINE
from la_outcomes.segmentation.outputs import LA
from la_outcomes.segmentation.preprocessing import InputSpec, locate_head, network_input
from la_outcomes.segmentation.training.dataset import channel_files, raw_folder
from la_outcomes.segmentation.training.export import LogOdds
from la_outcomes.segmentation.training.plans import CONFIGURATION
from la_outcomes.segmentation.training.weights import ensemble, rebuilt_networks
from la_outcomes.segmentation.volumetry import dice

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Prepared = tuple[Floats, npt.NDArray[Any]]

PARITY_CASES = 10
PARITY_DICE = 0.999


def measure_parity(bundle: Bundle, predictor: Any, cases: Iterable[Prepared], count: int) -> dict[str, Any]:
    """Compare the bundle with ``nnUNetPredictor`` (no mirroring) on prepared cases; the card's section.

    Equivalent means: at least 10 cases in which either finds anything, and Dice of the two masks at
    least .999 in each. A case where both are empty proves nothing and is not counted. ``count`` is the
    number of cases, for the progress bar.
    """
    return parity_section(_compared(bundle, partial(_predicted, predictor), cases, count))


def _compared(
    bundle: Bundle, masks: Callable[..., Mask], cases: Iterable[Prepared], count: int
) -> list[float | None]:
    """Dice of the bundle's LA with that of ``masks`` in each case."""
    scores = []
    with progress_bar("parity", count) as advance:
        for slices, spacing_mm in cases:
            scores.append(dice(bundle.predict(slices)[LA] > 0, masks(slices, spacing_mm)))
            advance()
    return scores


def repeat_parity(bundle: Bundle, scans: Sequence[Path]) -> dict[str, Any]:
    """Parity of a finished bundle, from its safetensors, on head CT files; as ``measure_parity``.

    A model that was not trained by nnU-Net (its card names no nnU-Net dataset) is compared with PyTorch's
    network of the same weights. Raises ``InputError`` for a model that is not for CT or gives no LA.
    """
    if bundle.card["modality"] != "CT" or LA not in bundle.outputs.names:
        raise InputError("parity is repeated for models of LA on CT", where=bundle.path)
    networks, nnunet = rebuilt_networks(bundle), bundle.card["nnunet"]
    cases = scans_as_cases(scans, bundle.spec)
    if "dataset" in nnunet:
        predictor = stock_predictor(networks, nnunet["plans"], nnunet["dataset"])
        return measure_parity(bundle, predictor, cases, len(scans))
    network = LogOdds(ensemble(networks), bundle.outputs).eval()
    channel = bundle.outputs.names.index(LA)
    scores = _compared(bundle, partial(_by_pytorch, network, channel), cases, len(scans))
    return parity_section(scores) | {"reference": "PyTorch's network of the same weights"}


def _by_pytorch(network: torch.nn.Module, channel: int, slices: Floats, _: npt.NDArray[Any]) -> Mask:
    """LA (slice, row, column) by the network itself, a few slices at a time."""
    with torch.inference_mode():
        parts = [network(part)[:, channel] > 0 for part in torch.from_numpy(slices).split(SLICES_AT_ONCE)]
    return np.asarray(torch.cat(parts).numpy())


def prove_engine(path: Path, engine: str, scans: Sequence[Path]) -> dict[str, Any]:
    """Measure another engine's parity on head CT files; a proven one is noted in the card and may be used.

    As ``measure_parity``. Raises ``ResourceError`` where the engine is not installed.
    """
    bundle = opened(path, read_card(path), engine, "cpu")
    parity = repeat_parity(bundle, scans)
    if parity["equivalent"] and engine != DEFAULT_ENGINE:
        engines = {**(bundle.card.get("engines") or {}), engine: parity}
        write_card(path, {**bundle.card, "engines": engines})
    return parity


def prepared_cases(case_ids: Sequence[str], work: Path, channels: int) -> Iterator[Prepared]:
    """Cases of a training's own dataset: (slice, channel, row, column) and the spacing (slice, row,
    column) in mm.
    """
    for case_id in case_ids:
        images = [read_image(file) for file in channel_files(raw_folder(work), case_id, channels)]
        slices = np.stack([image.data.transpose(2, 1, 0) for image in images], axis=1)
        yield np.ascontiguousarray(slices, dtype=np.float32), images[0].spacing_mm[::-1]


def scans_as_cases(scans: Sequence[Path], spec: InputSpec) -> Iterator[Prepared]:
    """Head CT files as ``prepared_cases`` gives them; raises ``InputError`` for one without a brain."""
    for path in scans:
        image = read_image(path)
        crop = locate_head(image, ct_brain(image).intracranial, spec)
        spacing = np.array([image.spacing_mm[2], spec.spacing_mm, spec.spacing_mm])
        yield network_input(image, crop, spec), spacing


def parity_section(scores: Iterable[float | None]) -> dict[str, Any]:
    """Summary of the Dice of each case; None where both masks were empty."""
    values = list(scores)
    told = [score for score in values if score is not None]
    reason = None
    if len(told) < PARITY_CASES:
        reason = f"{len(told)} cases with foreground, {PARITY_CASES} are needed"
    elif min(told) < PARITY_DICE:
        reason = f"Dice below {PARITY_DICE} in {sum(score < PARITY_DICE for score in told)} cases"
    return {
        "reference": "nnUNetPredictor without mirroring, on the network's grid",
        "cases": len(values),
        "cases_with_foreground": len(told),
        "dice_min": min(told, default=None),
        "dice_mean": float(np.mean(told)) if told else None,
        "threshold": PARITY_DICE,
        "equivalent": reason is None,
        "reason": reason,
    }


def stock_predictor(
    networks: Sequence[torch.nn.Module], plans: Mapping[str, Any], dataset_json: Mapping[str, Any]
) -> Any:
    """nnU-Net's predictor around the networks of a model's folds, on the CPU, without mirroring.

    The networks share one architecture; their weights are handed over, the modules are not changed.
    """
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    manager = PlansManager(dict(plans))
    with contextlib.redirect_stdout(io.StringIO()):
        predictor = nnUNetPredictor(use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False)
        predictor.manual_initialization(
            copy.deepcopy(networks[0]),
            manager,
            manager.get_configuration(CONFIGURATION),
            [network.state_dict() for network in networks],
            dict(dataset_json),
            "LaTrainer",
            None,
        )
    return predictor


def _predicted(predictor: Any, slices: Floats, spacing: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """nnU-Net's mask (slice, row, column) of one prepared case: its preprocessing, windows, resampling."""
    properties = {"spacing": [float(value) for value in spacing]}
    image = np.ascontiguousarray(slices.transpose(1, 0, 2, 3))
    with contextlib.redirect_stdout(io.StringIO()):
        return np.asarray(predictor.predict_single_npy_array(image, properties)) > 0
