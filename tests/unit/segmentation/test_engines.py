from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from toy_bundle import SPEC, write_bundle

from la_outcomes.errors import InputError, ResourceError, UsageError
from la_outcomes.segmentation.bundle import CARD_FILE, load_bundle, opened, read_card
from la_outcomes.segmentation.engines import open_engine

PROVEN = {"openvino-f32": {"equivalent": True}}


def test_an_engine_without_parity_is_not_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has not been shown"):
        load_bundle(write_bundle(tmp_path), engine="openvino-f32")
    failed = {"openvino-bf16": {"equivalent": False, "dice_min": 0.9955}}
    with pytest.raises(InputError, match="has not been shown"):
        load_bundle(write_bundle(tmp_path, engines=failed), engine="openvino-bf16")


def test_an_engine_that_passed_gives_the_same_log_odds(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    folder = write_bundle(tmp_path, engines=PROVEN)
    hu = np.random.default_rng(0).normal(25, 12, (3, 1, SPEC.size_px, SPEC.size_px))
    first, second = load_bundle(folder), load_bundle(folder, engine="openvino-f32")
    slices = SPEC.scaled(hu)
    assert second.predict(slices)["la"] == pytest.approx(first.predict(slices)["la"], abs=1e-5)


def test_an_engine_that_is_not_installed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    with pytest.raises(ResourceError, match="OpenVINO is not installed"):
        load_bundle(write_bundle(tmp_path, engines=PROVEN), engine="openvino-f32").compute  # noqa: B018


def test_other_engines_refuse_what_is_no_network(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    folder = write_bundle(tmp_path, network=b"no network")
    with pytest.raises(InputError, match="OpenVINO can run"):
        opened(folder, read_card(folder), "openvino-f32", "cpu").compute  # noqa: B018


def test_unknown_engines_and_devices_are_wrong_use(tmp_path: Path) -> None:
    weights = load_bundle(write_bundle(tmp_path)).weights
    for engine, device in (("tensorrt", "cpu"), ("onnxruntime", "tpu"), ("openvino-f32", "cuda")):
        with pytest.raises(UsageError):
            open_engine(weights, engine, device)


def test_a_gpu_that_is_not_there_is_told(tmp_path: Path) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(ResourceError, match="cuda was asked for"):
        load_bundle(write_bundle(tmp_path), device="cuda").compute  # noqa: B018


@pytest.mark.gpu
def test_cuda_gives_the_masks_of_the_processor(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path)
    slices = SPEC.scaled(np.random.default_rng(0).normal(25, 12, (3, 1, SPEC.size_px, SPEC.size_px)))
    first, second = (load_bundle(folder, device=device).predict(slices)["la"] for device in ("cpu", "cuda"))
    assert second == pytest.approx(first, abs=1e-4)


def test_a_card_may_lack_other_engines(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path)
    assert "engines" not in json.loads((folder / CARD_FILE).read_text())
    assert load_bundle(folder).engine == "onnxruntime"
