"""FLAIR read by a model bundle: WMH, the inside of the skull, infarct."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image, volume_ml
from la_outcomes.segmentation.bundle import Bundle
from la_outcomes.segmentation.labels.wmh import Wmh, relative_to_white_matter
from la_outcomes.segmentation.outputs import INFARCT, LA, WMH
from la_outcomes.segmentation.reading import Reading, read_by_network, serves_as_brain

SIGNAL_UNITS = 100.0
NAMES = (WMH, LA)

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class FlairFindings:
    """What was found on one FLAIR, on its grid: WMH, the inside of the skull (i, j, k), and the share (0..1)
    of infarct where the model earned the search for it, else None.
    """

    wmh: Wmh
    inside: Mask
    infarct: Image | None = None


def flair_for_network(flair: Image, inside: Mask) -> Image:
    """What a FLAIR model sees in place of HU: signal with white matter at 100, inside the head and out.

    ``inside`` may be rough: it only says where white matter is looked for.
    """
    relative = relative_to_white_matter(flair, inside)
    return Image((SIGNAL_UNITS * relative).astype(np.float32), flair.affine)


def flair_by_model(flair: Image, rough: Mask, bundle: Bundle) -> FlairFindings:
    """WMH, brain and infarct of a FLAIR.

    WMH is 0 or 1, as a mask given by a person: where its log odds are above 0, since a model's threshold is
    set so that volumes come out right there; the sum of probabilities above one half fell 10 % short.

    The bundle's card says modality FLAIR, its window is in units of ``flair_for_network``, and one of its
    structures is "wmh" (or "la"). ``rough`` is an intracranial mask by thresholds: it places the network's
    square, and is the inside of the skull where the model's own brain has not earned that. Raises
    ``InputError`` where the model gives no WMH or no numbers.
    """
    name = wmh_name(bundle)
    reading = read_by_network(flair_for_network(flair, rough), rough, bundle)
    inside = reading.brain_on_scan() if serves_as_brain(bundle.card) else rough
    image = _likely(reading, name, inside, flair)
    wmh = Wmh(
        image, volume_ml(image.data, image.affine), "model", f"{bundle.name} {bundle.model_sha256[:12]}"
    )
    infarct = _likely(reading, INFARCT, inside, flair) if finds_infarcts(bundle.card) else None
    return FlairFindings(wmh, inside, infarct)


def wmh_name(bundle: Bundle) -> str:
    """Name of the model's structure that is WMH; raises ``InputError`` where it has none."""
    name = next((name for name in NAMES if name in bundle.outputs.names), None)
    if name is None:
        given = ", ".join(bundle.outputs.names)
        raise InputError(f"the model gives {given}, not {WMH}", where=bundle.path)
    return name


def finds_infarcts(card: Mapping[str, Any]) -> bool:
    """Whether the model was shown to find infarcts better than the search for one-sided signal."""
    names = [part["name"] for part in card["outputs"]["structures"]]
    return INFARCT in names and dict(card.get("infarct") or {}).get("search") == "network"


def model_use(bundle: Bundle) -> dict[str, bool]:
    """What beside WMH is taken from a model: part of what identifies a label."""
    return {"brain": serves_as_brain(bundle.card), "infarct": finds_infarcts(bundle.card)}


def _likely(reading: Reading, name: str, inside: Mask, flair: Image) -> Image:
    """Where a structure is likelier than not, 0 or 1 on the scan."""
    return Image((reading.mask(name) & inside).astype(np.float32), flair.affine)
