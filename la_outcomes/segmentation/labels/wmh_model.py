"""WMH by a model bundle that was trained on FLAIR."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image, volume_ml
from la_outcomes.segmentation.bundle import Bundle
from la_outcomes.segmentation.labels.wmh import Wmh, relative_to_white_matter
from la_outcomes.segmentation.preprocessing import NOT_FOUND_LOG_ODDS, locate_head, network_input

SIGNAL_UNITS = 100.0
NAMES = ("wmh", "la")


def flair_for_network(flair: Image, inside: npt.NDArray[np.bool_]) -> Image:
    """What a FLAIR model sees in place of HU: signal with white matter at 100, inside the head and out.

    ``inside`` may be rough: it only says where white matter is looked for.
    """
    relative = relative_to_white_matter(flair, inside)
    return Image((SIGNAL_UNITS * relative).astype(np.float32), flair.affine)


def wmh_from_model(flair: Image, inside: npt.NDArray[np.bool_], bundle: Bundle) -> Wmh:
    """Soft WMH (the network's probability) on the FLAIR's grid, inside the intracranial mask.

    The bundle's card says modality FLAIR, its window is in units of ``flair_for_network``, and one of its
    structures is "wmh" (or "la"). Raises ``InputError`` where it has neither or gives no numbers.
    """
    seen = flair_for_network(flair, inside)
    crop = locate_head(seen, inside, bundle.spec)
    found = bundle.predict(network_input(seen, crop, bundle.spec))
    name = next((name for name in NAMES if name in found), None)
    if name is None:
        raise InputError(f"the model gives {', '.join(found)}, not {NAMES[0]}", where=bundle.path)
    logit: npt.NDArray[Any] = crop.to_scan(found[name], outside=NOT_FOUND_LOG_ODDS)
    soft = np.where(inside & (logit > 0), 1.0 / (1.0 + np.exp(-np.clip(logit, -30, 30))), 0.0)
    image = Image(soft.astype(np.float32), flair.affine)
    return Wmh(
        image, volume_ml(image.data, image.affine), "model", f"{bundle.name} {bundle.model_sha256[:12]}"
    )
