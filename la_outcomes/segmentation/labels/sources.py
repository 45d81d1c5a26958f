"""Where the WMH of a pair comes from: a given mask, an external tool, a model bundle, or the fall-back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from la_outcomes.errors import InputError, UsageError
from la_outcomes.imaging.geometry import Image
from la_outcomes.segmentation.brain import flair_brain
from la_outcomes.segmentation.bundle import Bundle, load_bundle
from la_outcomes.segmentation.cases import PairCase
from la_outcomes.segmentation.labels.wmh import CLASSICAL_VERSION, Wmh, classical_wmh, wmh_from_mask
from la_outcomes.segmentation.labels.wmh_command import wmh_from_command
from la_outcomes.segmentation.labels.wmh_model import FlairFindings, flair_by_model, model_use, wmh_name
from la_outcomes.segmentation.labels.wmh_tool import WmhTool, read_tool

KINDS = ("auto", "mask", "command", "model", "classical")
INFARCT_SHARE = 0.2

Mask = npt.NDArray[np.bool_]
Volume = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class WmhSource:
    """One configured source, small enough to be sent to each worker.

    ``tool``: of a command, or what made the given masks. ``model``: folder and SHA-256 of a FLAIR bundle.
    """

    kind: str = "auto"
    tool: WmhTool | None = None
    model: tuple[Path, str] | None = None

    def parameters(self) -> dict[str, Any]:
        """What of it identifies a result."""
        return {
            "wmh": self.kind,
            "wmh_tool": None if self.tool is None else self.tool.record(),
            "wmh_model_sha256": None if self.model is None else self.model[1],
            "wmh_model_use": None if self.model is None else model_use(_bundle(*self.model)),
            "classical": CLASSICAL_VERSION,
        }

    def read(self, case: PairCase, flair: Image, infarct: Volume | None, log: Path) -> FlairFindings:
        """WMH and the inside of the skull on the FLAIR's grid, infarct too where the model finds it.

        ``infarct`` is the given share of it (0..1) on that grid. Raises ``InputError`` where the pair cannot
        have WMH.
        """
        rough = flair_brain(flair).intracranial
        if self.model is None:
            return FlairFindings(self._other_wmh(case, flair, rough, infarct, log), rough)
        if self.kind == "model" or case.wmh_mask_path is None:
            return flair_by_model(flair, rough, _bundle(*self.model))
        given = wmh_from_mask(case.wmh_mask_path, flair, self.tool)
        try:
            return replace(flair_by_model(flair, rough, _bundle(*self.model)), wmh=given)
        except InputError:  # a given mask does not need the model
            return FlairFindings(given, rough)

    def _other_wmh(
        self, case: PairCase, flair: Image, inside: Mask, infarct: Volume | None, log: Path
    ) -> Wmh:
        """Soft WMH without a model: a tool's, the classical method's or the given mask."""
        if self.kind == "command" and self.tool is not None:
            return wmh_from_command(self.tool, case.flair.path, flair, log, case.t1_path)
        if self.kind == "classical" or (self.kind == "auto" and case.wmh_mask_path is None):
            return classical_wmh(flair, inside, None if infarct is None else infarct > INFARCT_SHARE)
        if case.wmh_mask_path is None:
            hint = "fill wmh_mask_path, or use --wmh command, model or classical"
            raise InputError("the pair has no WMH mask", where=case.case_id, hint=hint)
        return wmh_from_mask(case.wmh_mask_path, flair, self.tool)


def configure(kind: str, tool: str | None = None, model: Path | None = None) -> WmhSource:
    """A source as the command line names it.

    ``model`` is the folder of a FLAIR bundle: it goes with "model", and with "auto" for the pairs without a
    mask; then brain and infarct are the model's in all pairs, where it earned that.

    Raises ``UsageError`` for an unknown kind and for a command without a tool or a model without a
    bundle, ``InputError`` where the tool's description or the bundle cannot be used.
    """
    if kind not in KINDS:
        raise UsageError(f"there is no WMH source {kind!r}", hint=f"one of {', '.join(KINDS)}")
    described = None if tool is None else read_tool(tool)
    if kind == "command" and (described is None or described.command is None):
        raise UsageError("--wmh command needs a tool with a command", hint="--wmh-tool NAME or FILE.yaml")
    if (kind == "model" and model is None) or (model is not None and kind not in ("auto", "model")):
        raise UsageError("--wmh model and --wmh-model BUNDLE go together")
    if described is not None and kind not in ("auto", "mask", "command"):
        raise UsageError(f"--wmh-tool does not go with --wmh {kind}")
    if model is None:
        return WmhSource(kind, described)
    bundle = load_bundle(model, modality="FLAIR")
    wmh_name(bundle)
    return WmhSource(kind, described, (model, bundle.model_sha256))


@lru_cache(maxsize=1)
def _bundle(path: Path, sha256: str) -> Bundle:
    bundle = load_bundle(path, modality="FLAIR")
    if bundle.model_sha256 != sha256:
        raise InputError("the bundle changed while it was in use", where=path, hint="run it again")
    return bundle
