"""Model bundles: a folder with ``model.json`` (the card) and weights that cannot run code.

The card names the tensors and their axes, the input's grid and window, what the model was trained on,
what it is for, its parity with nnU-Net's own predictor, and the weights' size and SHA-256. Loading
checks all of it; nothing is unpickled and no file but the two is read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from la_outcomes.errors import InputError
from la_outcomes.segmentation.preprocessing import ORIENTATION, InputSpec
from la_outcomes.shards import canonical_json, sha256_file, write_text_atomic

FORMAT = "la-outcomes segmentation model"
FORMAT_VERSION = 1
CARD_FILE = "model.json"
WEIGHTS_FILE = "weights.onnx"
TENSORS_FILE = "weights.safetensors"
INPUT_NAME = "slices"
OUTPUT_NAME = "logit_difference"
AXES = ("slice", "channel", "row", "column")
_LARGEST_CARD_BYTES = 4_000_000
_SECTIONS = ("name", "modality", "weights", "tensors", "orientation", "input", "training", "parity")

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Bundle:
    """A checked model: its card, its weights' bytes, and one inference session a process.

    ``logits`` is all that inference needs; the session is opened at its first call.
    """

    path: Path
    card: Mapping[str, Any]
    weights: bytes
    model_sha256: str
    spec: InputSpec

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
    def session(self) -> Any:
        """ONNX Runtime session on the CPU, or on CUDA where this ONNX Runtime has it.

        Threads: ``OMP_NUM_THREADS`` where set, else all processors. Raises ``InputError`` where the
        weights are no ONNX network or their tensors are not those of the card.
        """
        return _open_session(self.weights, self.spec, self.path)

    def logits(self, slices: Floats) -> Floats:
        """Foreground minus background logit, (slice, row, column), for (slice, 1, row, column) input."""
        result = self.session.run([OUTPUT_NAME], {INPUT_NAME: slices})[0]
        return np.asarray(result[:, 0], dtype=np.float32)


def load_bundle(path: str | Path) -> Bundle:
    """Load and check a bundle folder.

    Raises ``InputError`` with the reason where the folder is none, the card is incomplete, from another
    format, version or modality, or the weights are missing, cut short or altered.
    """
    path = Path(path)
    card = read_card(path)
    weights = _read_weights(path, card["weights"])
    return Bundle(path, card, weights, str(card["weights"]["sha256"]), InputSpec.from_dict(card["input"]))


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


def tensors_entry(spec: InputSpec) -> dict[str, Any]:
    """How a card names the network's input and output."""
    shape = [None, 1, spec.size_px, spec.size_px]
    common = {"axes": list(AXES), "shape": shape, "type": "float32"}
    return {"input": {"name": INPUT_NAME, **common}, "output": {"name": OUTPUT_NAME, **common}}


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
    if card["modality"] != "CT":
        raise InputError(f"the model is for {card['modality']}, not for CT", where=file)
    if not isinstance(card["input"], dict):
        raise InputError("the model card's input is no table of numbers", where=file)
    if card["orientation"] != ORIENTATION or card["tensors"] != tensors_entry(
        InputSpec.from_dict(card["input"])
    ):
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


def _open_session(weights: bytes, spec: InputSpec, path: Path) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
    available = ort.get_available_providers()
    providers = [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in available]
    try:
        session = ort.InferenceSession(weights, options, providers=providers)
    except Exception as error:
        raise InputError("the weights are no network that ONNX Runtime can run", where=path) from error
    found = [(tensor.name, tensor.type, list(tensor.shape[1:])) for tensor in _tensors(session)]
    shape = [1, spec.size_px, spec.size_px]
    if found != [(INPUT_NAME, "tensor(float)", shape), (OUTPUT_NAME, "tensor(float)", shape)]:
        raise InputError("the network's tensors are not those of the model card", where=path)
    return session


def _tensors(session: Any) -> list[Any]:
    return [*session.get_inputs(), *session.get_outputs()]
