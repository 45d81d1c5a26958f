"""Model bundles: a folder with ``model.json`` (the card) and weights that cannot run code.

The card names the tensors and their axes, the input's grid, slices and window, the network's classes and
the structures made of them, what the model was trained on, what it is for, its parity with nnU-Net's own
predictor, and the weights' size and SHA-256. Loading checks all of it; nothing is unpickled and no file
but the two is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from la_outcomes.errors import InputError
from la_outcomes.segmentation.engines import DEFAULT_ENGINE, Compute, open_engine
from la_outcomes.segmentation.outputs import Outputs
from la_outcomes.segmentation.preprocessing import ORIENTATION, InputSpec
from la_outcomes.shards import canonical_json, sha256_file, write_text_atomic

FORMAT = "la-outcomes segmentation model"
FORMAT_VERSION = 2
CARD_FILE = "model.json"
WEIGHTS_FILE = "weights.onnx"
TENSORS_FILE = "weights.safetensors"
INPUT_NAME = "slices"
OUTPUT_NAME = "log_odds"
AXES = ("slice", "channel", "row", "column")
_LARGEST_CARD_BYTES = 4_000_000
SLICES_AT_ONCE = 8
_SECTIONS = (
    "name", "modality", "weights", "tensors", "orientation", "input", "outputs", "training", "parity",
)  # fmt: skip

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Bundle:
    """A checked model: its card, its weights' bytes, and one opened network a process.

    ``predict`` is all that inference needs; the network is opened at its first call.
    """

    path: Path
    card: Mapping[str, Any]
    weights: bytes
    model_sha256: str
    spec: InputSpec
    outputs: Outputs
    engine: str = DEFAULT_ENGINE
    device: str = "auto"

    @property
    def name(self) -> str:
        """Name in the card."""
        return str(self.card["name"])

    def model_row(self) -> dict[str, Any]:
        """Row of the registry table ``models``; which model is active is the registry's choice."""
        return {
            "model_sha256": self.model_sha256,
            "name": self.name,
            "kind": "segmentation",
            "card": canonical_json(self.card),
        }

    @cached_property
    def compute(self) -> Compute:
        """The opened network, (slice, channel, row, column) to the same with the structures as channels.

        Raises as ``open_engine``, and ``InputError`` where its tensors are not those of the card.
        """
        try:
            run, tensors = open_engine(self.weights, self.engine, self.device)
        except InputError as error:
            raise InputError(error.what, where=self.path) from error
        size = self.spec.size_px
        shapes = ([self.spec.slices, size, size], [len(self.outputs.names), size, size])
        wanted = [(n, "tensor(float)", s) for n, s in zip((INPUT_NAME, OUTPUT_NAME), shapes, strict=True)]
        if tensors != wanted:
            raise InputError("the network's tensors are not those of the model card", where=self.path)
        return run

    def predict(self, slices: Floats) -> dict[str, Floats]:
        """Log odds of each structure, (slice, row, column), for (slice, channel, row, column) input.

        A few slices are computed at a time, which bounds the memory. Raises ``InputError`` where the
        network gives anything but finite numbers.
        """
        starts = range(0, len(slices), SLICES_AT_ONCE)
        found = np.concatenate([self.compute(slices[start : start + SLICES_AT_ONCE]) for start in starts])
        if not np.isfinite(found).all():
            raise InputError("the network gave values that are not numbers")
        return {name: found[:, channel] for channel, name in enumerate(self.outputs.names)}


def load_bundle(
    path: str | Path, *, modality: str = "CT", engine: str = DEFAULT_ENGINE, device: str = "auto"
) -> Bundle:
    """Load and check a bundle folder.

    Raises ``InputError`` with the reason where the folder is none, the card is incomplete, from another
    format, version or modality, the weights are missing, cut short or altered, or the engine has not
    passed this model's comparison with nnU-Net's predictor.
    """
    path = Path(path)
    card = read_card(path)
    if card["modality"] != modality:
        raise InputError(f"the model is for {card['modality']}, not for {modality}", where=path / CARD_FILE)
    if engine != DEFAULT_ENGINE and not engine_parity(card, engine).get("equivalent"):
        raise InputError(
            f"{engine} has not been shown to give this model's masks",
            where=path / CARD_FILE,
            hint=f"la-outcomes model verify BUNDLE --engine {engine} --scans SCANS.csv, on 10 or more CTs",
        )
    return opened(path, card, engine, device)


def opened(path: Path, card: Mapping[str, Any], engine: str, device: str) -> Bundle:
    """A bundle of a checked card with an engine that need not have passed yet; raises ``InputError``."""
    weights = _read_weights(path, card["weights"])
    spec, outputs = InputSpec.from_dict(card["input"]), Outputs.from_card(card["outputs"])
    return Bundle(path, card, weights, str(card["weights"]["sha256"]), spec, outputs, engine, device)


def engine_parity(card: Mapping[str, Any], engine: str) -> Mapping[str, Any]:
    """What the card says of an engine's comparison with nnU-Net's predictor; empty where nothing."""
    if engine == DEFAULT_ENGINE:
        found = card.get("parity")
    else:
        found = dict(card.get("engines") or {}).get(engine)
    return found if isinstance(found, dict) else {}


def read_card(path: str | Path) -> dict[str, Any]:
    """The card of a bundle, checked but for the weights; raises ``InputError`` with the reason."""
    file = Path(path) / CARD_FILE
    if not file.is_file():
        hint = f"a bundle is a folder with {CARD_FILE} and {WEIGHTS_FILE}"
        raise InputError("this is no model bundle", where=path, hint=hint)
    if file.stat().st_size > _LARGEST_CARD_BYTES:
        raise InputError("the model card is too large to be one", where=file)
    try:
        card = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError("the model card is not whole JSON", where=file) from error
    _check_card(card, file)
    return dict(card)


def write_card(path: str | Path, card: Mapping[str, Any]) -> Path:
    """Write a bundle's card; its weights are already there. Returns the card's path."""
    text = json.dumps(json.loads(canonical_json(card)), indent=1, sort_keys=True) + "\n"
    return write_text_atomic(Path(path) / CARD_FILE, text)


def weights_entry(file: Path) -> dict[str, Any]:
    """How a card names a file of weights: name, size and SHA-256."""
    return {"file": file.name, "bytes": file.stat().st_size, "sha256": sha256_file(file)}


def tensors_entry(spec: InputSpec, outputs: Outputs) -> dict[str, Any]:
    """How a card names the network's input and output."""
    size = spec.size_px
    common = {"axes": list(AXES), "type": "float32"}
    return {
        "input": {"name": INPUT_NAME, "shape": [None, spec.slices, size, size], **common},
        "output": {"name": OUTPUT_NAME, "shape": [None, len(outputs.names), size, size], **common},
    }


def _check_card(card: object, file: Path) -> None:
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise InputError("the model card is of another program", where=file, hint=f"format: {FORMAT}")
    if card.get("format_version") != FORMAT_VERSION:
        found = card.get("format_version")
        raise InputError(
            f"the bundle has format version {found}, this package reads {FORMAT_VERSION}",
            where=file,
            hint="update la-outcomes or export the model again",
        )
    missing = [name for name in _SECTIONS if name not in card]
    if missing:
        raise InputError(f"the model card lacks: {', '.join(missing)}", where=file)
    if not isinstance(card["input"], dict):
        raise InputError("the model card's input is no table of numbers", where=file)
    tensors = tensors_entry(InputSpec.from_dict(card["input"]), Outputs.from_card(card["outputs"]))
    if card["orientation"] != ORIENTATION or card["tensors"] != tensors:
        raise InputError("the model expects its axes in another order or its tensors otherwise", where=file)


def _read_weights(path: Path, entry: object) -> bytes:
    if not (isinstance(entry, dict) and {"file", "bytes", "sha256"} <= set(entry)):
        raise InputError("the model card does not say which weights belong to it", where=path)
    if entry["file"] != WEIGHTS_FILE:
        raise InputError(f"the weights must be {WEIGHTS_FILE}", where=path, hint="pickles are never read")
    file = path / WEIGHTS_FILE
    if not file.is_file():
        raise InputError("the bundle's weights are missing", where=file, hint="copy the whole folder")
    if file.stat().st_size != entry["bytes"]:
        raise InputError(
            f"the weights hold {file.stat().st_size} bytes, the card says {entry['bytes']}",
            where=file,
            hint="the copy was cut short or replaced; copy the bundle again",
        )
    weights = file.read_bytes()
    if hashlib.sha256(weights).hexdigest() != entry["sha256"]:
        raise InputError(
            "the weights are not those the card vouches for (SHA-256 differs)",
            where=file,
            hint="the bundle was altered; get it again from where it came",
        )
    return weights
