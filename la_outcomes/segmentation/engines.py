"""What computes a bundle's network: ONNX Runtime, or a faster engine that has shown the same masks.

ONNX Runtime in float32 is the engine a bundle is exported for and proven with. Another engine or precision
is used for a model only where its card says that it passed the same comparison with nnU-Net's predictor.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from la_outcomes.errors import InputError, ResourceError, UsageError

Floats = npt.NDArray[np.float32]
Compute = Callable[[Floats], Floats]
Tensor = tuple[str, str, list[Any]]

DEFAULT_ENGINE = "onnxruntime"
ENGINES = (DEFAULT_ENGINE, "openvino-f32", "openvino-bf16")
DEVICES = ("auto", "cuda", "cpu")


def compute_threads() -> int:
    """Threads of a network: ``OMP_NUM_THREADS`` where set, else all processors."""
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


def open_engine(weights: bytes, engine: str, device: str) -> tuple[Compute, list[Tensor]]:
    """A function from (slice, channel, row, column) to the same with the outputs as channels, and the
    network's tensors (name, type, shape without slices): inputs, then outputs.

    ``device`` "auto" takes CUDA where ONNX Runtime has it. Raises ``UsageError`` for unknown names or an
    engine that has no such device, ``ResourceError`` for a device or engine that is not there,
    ``InputError`` where the weights are no network.
    """
    if engine not in ENGINES or device not in DEVICES:
        hint = f"engines: {', '.join(ENGINES)}; devices: {', '.join(DEVICES)}"
        raise UsageError(f"no engine {engine!r} on device {device!r}", hint=hint)
    if engine == DEFAULT_ENGINE:
        return _onnx_runtime(weights, _providers(device))
    if device == "cuda":
        raise UsageError(f"{engine} computes on processors only", hint="--device cpu")
    return _openvino(weights, engine.removeprefix("openvino-"))


def _providers(device: str) -> list[str]:
    """ONNX Runtime's names of the devices to use, best first."""
    import onnxruntime as ort

    cuda, cpu = "CUDAExecutionProvider", "CPUExecutionProvider"
    if device == "cpu":
        return [cpu]
    there = cuda in ort.get_available_providers()
    if device == "cuda" and not there:
        raise ResourceError(
            "cuda was asked for, but this ONNX Runtime has none",
            hint="use --device cpu, or install onnxruntime-gpu instead of onnxruntime",
        )
    return [cuda, cpu] if there else [cpu]


def _onnx_runtime(weights: bytes, providers: list[str]) -> tuple[Compute, list[Tensor]]:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.intra_op_num_threads = compute_threads()
    try:
        session = ort.InferenceSession(weights, options, providers=providers)
    except Exception as error:
        raise InputError("the weights are no network that ONNX Runtime can run") from error
    tensors = [*session.get_inputs(), *session.get_outputs()]
    name = tensors[0].name
    found = [(tensor.name, tensor.type, list(tensor.shape[1:])) for tensor in tensors]
    return lambda slices: np.asarray(session.run(None, {name: slices})[0], np.float32), found


def _openvino(weights: bytes, precision: str) -> tuple[Compute, list[Tensor]]:
    try:
        import openvino as ov
    except ImportError as error:
        hint = "pip install 'la-outcomes[openvino]', or leave --engine out"
        raise ResourceError("OpenVINO is not installed", hint=hint) from error
    core = ov.Core()
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": compute_threads(),
        "NUM_STREAMS": 1,
    }
    try:
        network = core.read_model(weights)
        compiled = core.compile_model(network, "CPU", settings)
    except RuntimeError as error:
        raise InputError("the weights are no network that OpenVINO can run") from error
    tensors = [*network.inputs, *network.outputs]
    found = [
        (t.any_name, _type_name(t), [d.get_length() for d in list(t.partial_shape)[1:]]) for t in tensors
    ]
    return lambda slices: np.asarray(compiled([slices])[0], np.float32).copy(), found


def _type_name(tensor: Any) -> str:
    """ONNX Runtime's name of a tensor's type."""
    return {"f32": "tensor(float)"}.get(tensor.element_type.get_type_name(), "another")
