"""A bundle whose network is a threshold in HU, so that what it must find is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from la_outcomes.segmentation.bundle import (
    FORMAT,
    FORMAT_VERSION,
    INPUT_NAME,
    OUTPUT_NAME,
    WEIGHTS_FILE,
    tensors_entry,
    weights_entry,
    write_card,
)
from la_outcomes.segmentation.outputs import Outputs
from la_outcomes.segmentation.preprocessing import ORIENTATION, InputSpec

SPEC = InputSpec(size_px=160, spacing_mm=1.2)


def onnx_network(spec: InputSpec, *, low_hu: float, high_hu: float, name: str = OUTPUT_NAME) -> bytes:
    """Log odds = half-width of the HU band minus the distance from its middle."""
    from onnx import TensorProto, checker, helper

    shape = ["slice", 1, spec.size_px, spec.size_px]
    middle = ((low_hu + high_hu) / 2 - spec.hu_centre) / spec.hu_scale
    width = (high_hu - low_hu) / 2 / spec.hu_scale
    nodes = [
        helper.make_node("Sub", [INPUT_NAME, "middle"], ["off"]),
        helper.make_node("Abs", ["off"], ["distance"]),
        helper.make_node("Sub", ["width", "distance"], [name]),
    ]
    tensors = {"middle": middle, "width": width}
    graph = helper.make_graph(
        nodes,
        "band",
        [helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)],
        [helper.make_tensor(n, TensorProto.FLOAT, [1], [v]) for n, v in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    return model.SerializeToString()


def onnx_bands(spec: InputSpec, bands: dict[str, tuple[float, float]]) -> bytes:
    """Several structures, each a band of HU, in the order given."""
    from onnx import TensorProto, checker, helper

    nodes, tensors = [], {}
    for name, (low, high) in bands.items():
        tensors[f"{name}.middle"] = ((low + high) / 2 - spec.hu_centre) / spec.hu_scale
        tensors[f"{name}.width"] = (high - low) / 2 / spec.hu_scale
        nodes += [
            helper.make_node("Sub", [INPUT_NAME, f"{name}.middle"], [f"{name}.off"]),
            helper.make_node("Abs", [f"{name}.off"], [f"{name}.distance"]),
            helper.make_node("Sub", [f"{name}.width", f"{name}.distance"], [name]),
        ]
    nodes.append(helper.make_node("Concat", list(bands), [OUTPUT_NAME], axis=1))
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["slice", n, spec.size_px, spec.size_px])
        for name, n in ((INPUT_NAME, 1), (OUTPUT_NAME, len(bands)))
    ]
    weights = [helper.make_tensor(n, TensorProto.FLOAT, [1], [v]) for n, v in tensors.items()]
    graph = helper.make_graph(nodes, "bands", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    return model.SerializeToString()


def write_tissue_bundle(path: Path, bands: dict[str, tuple[float, float]], **changes: Any) -> Path:
    """A bundle whose structures are bands of HU (or of whatever its modality is measured in)."""
    spec = InputSpec.from_dict(changes.get("input", vars(SPEC)))
    outputs = Outputs(("outside", *bands), tuple((name, (name,)) for name in bands))
    facts = {"tensors": tensors_entry(spec, outputs), "outputs": outputs.as_card()}
    return write_bundle(path, onnx_bands(spec, bands), **facts | changes)


def write_bundle(path: Path, network: bytes | None = None, **changes: Any) -> Path:
    """Write the toy bundle (LA = 12 to 24 HU), its card changed as asked; returns its folder."""
    path.mkdir(parents=True, exist_ok=True)
    (path / WEIGHTS_FILE).write_bytes(network or onnx_network(SPEC, low_hu=12, high_hu=24))
    card = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": "toy",
        "modality": "CT",
        "weights": weights_entry(path / WEIGHTS_FILE),
        "tensors": tensors_entry(SPEC, Outputs()),
        "orientation": ORIENTATION,
        "input": vars(SPEC),
        "outputs": Outputs().as_card(),
        "training": {"slice_spacing_mm": [5.0, 7.0]},
        "parity": {},
    }
    write_card(path, card | changes)
    return path
