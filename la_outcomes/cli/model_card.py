"""A model's card in plain lines, as ``la-outcomes model show`` prints it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from la_outcomes.segmentation.bundle import Bundle


def describe(bundle: Bundle) -> Iterator[str]:
    """Name, input, outputs, training, what it must not be taken for, and what was fitted to it."""
    from la_outcomes.cli.train import describe_parity

    card, spec = bundle.card, bundle.spec
    training = card["training"]
    unit = "HU" if card["modality"] == "CT" else "% of white matter's signal"
    yield f"{bundle.name}, sha256 {bundle.model_sha256}"
    stack = f"{spec.slices} slice{'s'[: spec.slices > 1]} at a time"
    window = f"{spec.hu_low:g} to {spec.hu_high:g} {unit}"
    yield f"  sees {card['modality']}, {spec.size_px} px of {spec.spacing_mm:g} mm, {stack}, {window}"
    yield f"  gives {', '.join(bundle.outputs.names)}"
    yield from _warnings(card)
    if "patients" in training:
        yield f"  trained on {training['patients']} patients{', simulated' if training['simulated'] else ''}"
    yield f"  {training['split']}; slices {training['slice_spacing_mm']} mm apart"
    yield describe_parity(card["parity"])
    yield from _fitted(card)
    yield f"  intended use: {card['intended_use']}"
    yield f"  limits: {card['limits']}"


def _warnings(card: Mapping[str, Any]) -> Iterator[str]:
    facts = {
        "SIMULATED: trained on simulated scans only": card.get("simulated") is True,
        "NOT validated on patients": card.get("validated_on_patients") is False,
        "NOT a medical device": card.get("medical_device") is False,
    }
    told = [text for text, holds in facts.items() if holds]
    if told:
        yield "  " + "; ".join(told)


def _fitted(card: Mapping[str, Any]) -> Iterator[str]:
    """What was fitted after the training."""
    from la_outcomes.segmentation.reading import serves_as_brain

    for section, text in _SECTIONS.items():
        holds = card.get(section) if section != "brain" else serves_as_brain(card)
        yield f"  {text}: {'yes' if holds else 'no'}"


_SECTIONS = {
    "calibration": "calibrated to MRI's WMH volume",
    "interval": "gives a 90 % interval of its volume",
    "domain": "refuses what is unlike the heads it knows",
    "brain": "its own brain mask takes the thresholds' place",
}
