from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_bundle import SPEC, onnx_network, write_bundle

from la_outcomes.errors import InputError
from la_outcomes.segmentation.bundle import (
    CARD_FILE,
    WEIGHTS_FILE,
    load_bundle,
    read_card,
    tensors_entry,
    weights_entry,
)
from la_outcomes.segmentation.outputs import Outputs
from la_outcomes.segmentation.preprocessing import InputSpec


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "model")


def test_a_whole_bundle_loads_and_computes_for_any_number_of_slices(folder: Path) -> None:
    bundle = load_bundle(folder)
    assert bundle.model_sha256 == weights_entry(folder / WEIGHTS_FILE)["sha256"]
    for count in (1, 5):
        hu = np.full((count, 1, SPEC.size_px, SPEC.size_px), 18.0, np.float32)
        hu[:, :, 0] = 35.0
        logits = bundle.predict(SPEC.scaled(hu))["la"]
        assert logits.shape == (count, SPEC.size_px, SPEC.size_px)
        assert (logits[:, 1:] > 0).all()
        assert (logits[:, 0] < 0).all()


def test_the_row_of_a_model_carries_its_card(folder: Path) -> None:
    row = load_bundle(folder).model_row()
    assert json.loads(row["card"])["name"] == row["name"] == "toy"
    assert row["kind"] == "segmentation"
    assert "is_active" not in row


def test_altered_weights_are_refused(folder: Path) -> None:
    weights = bytearray((folder / WEIGHTS_FILE).read_bytes())
    weights[len(weights) // 2] ^= 1
    (folder / WEIGHTS_FILE).write_bytes(weights)
    with pytest.raises(InputError, match="SHA-256 differs"):
        load_bundle(folder)


def test_weights_cut_short_are_refused(folder: Path) -> None:
    weights = (folder / WEIGHTS_FILE).read_bytes()
    (folder / WEIGHTS_FILE).write_bytes(weights[:-7])
    with pytest.raises(InputError, match="bytes, the card says"):
        load_bundle(folder)


def test_missing_weights_and_missing_card_are_refused(folder: Path, tmp_path: Path) -> None:
    (folder / WEIGHTS_FILE).unlink()
    with pytest.raises(InputError, match="missing"):
        load_bundle(folder)
    with pytest.raises(InputError, match="no model bundle"):
        load_bundle(tmp_path / "nothing")


@pytest.mark.parametrize("text", ["{", "[1, 2", "\x00\x01", "[" * 100_000])
def test_a_card_that_is_not_json_is_refused(folder: Path, text: str) -> None:
    (folder / CARD_FILE).write_text(text)
    with pytest.raises(InputError, match="not whole JSON"):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": "another"}, "another program"),
        ({"format_version": 1}, "format version 1"),
        ({"modality": "FLAIR"}, "for FLAIR, not for CT"),
        ({"orientation": {"slice": "superior to inferior"}}, "axes in another order"),
        ({"input": {"size_px": 128}}, "exactly"),
        ({"input": [1]}, "no table"),
        ({"input": vars(InputSpec(128, 1.2))}, "tensors otherwise"),
        ({"weights": {"file": "../../weights.onnx", "bytes": 1, "sha256": "0"}}, "must be weights.onnx"),
        ({"weights": {"file": "weights.pkl", "bytes": 1, "sha256": "0"}}, "must be weights.onnx"),
        ({"weights": "weights.onnx"}, "which weights"),
    ],
)
def test_foreign_and_mismatched_cards_are_refused(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        load_bundle(write_bundle(tmp_path / "model", **changes))


def test_a_card_without_a_section_is_refused(folder: Path) -> None:
    card = read_card(folder)
    del card["parity"]
    (folder / CARD_FILE).write_text(json.dumps(card))
    with pytest.raises(InputError, match="lacks: parity"):
        load_bundle(folder)


def test_weights_that_are_no_network_or_another_one_are_refused(tmp_path: Path) -> None:
    pickle = write_bundle(tmp_path / "pickle", network=b"\x80\x04cos\nsystem\n.")
    with pytest.raises(InputError, match="no network"):
        load_bundle(pickle).compute  # noqa: B018
    smaller = InputSpec(64, 1.2)
    other = write_bundle(tmp_path / "other", network=onnx_network(smaller, low_hu=1, high_hu=2))
    with pytest.raises(InputError, match="tensors are not those"):
        load_bundle(other).compute  # noqa: B018
    named = write_bundle(tmp_path / "named", network=onnx_network(SPEC, low_hu=1, high_hu=2, name="mask"))
    with pytest.raises(InputError, match="tensors are not those"):
        load_bundle(named).compute  # noqa: B018


def test_tensors_are_described_with_free_slices() -> None:
    entry = tensors_entry(SPEC, Outputs())
    assert entry["input"]["shape"] == [None, 1, SPEC.size_px, SPEC.size_px]
    assert entry["output"]["axes"] == ["slice", "channel", "row", "column"]
