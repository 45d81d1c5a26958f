"""What a reviewer can say: the decisions and the reasons offered for each kind of target."""

from __future__ import annotations

from la_outcomes.dictionary import load_dictionary
from la_outcomes.errors import InputError

DECISIONS = ("accept", "reject", "unsure")
SCAN = "scan"
WITHDRAWN = "withdrawn"
LONGEST_COMMENT = 500
_SCAN_REASONS = ("motion or metal artefact", "not a plain head CT", "wrong patient or mixed-up scans")
REASONS: dict[str, tuple[str, ...]] = {
    "pseudo_label": (
        "coregistration is off",
        "infarct in the label",
        "WMH missed on FLAIR",
        "no WMH where the label lies",
        "label lies in CSF or cortex",
        *_SCAN_REASONS,
    ),
    "la_measurement": (
        "infarct taken for LA",
        "CSF or sulci taken for LA",
        "LA missed",
        "LA where there is none",
        "artefact taken for LA",
        *_SCAN_REASONS,
    ),
}


def kind_name(kind: str) -> str:
    """What a kind of target is called on the page."""
    return {"pseudo_label": "pseudo-label", "la_measurement": "segmentation", SCAN: "scan"}[kind]


def check_decision(kind: str, decision: str, reason: str | None) -> None:
    """Raise ``InputError`` for a decision or reason that is not offered; rejecting needs a reason."""
    if decision not in DECISIONS:
        raise InputError("no such decision", hint=", ".join(DECISIONS))
    if reason is not None and reason not in REASONS[kind]:
        raise InputError("no such reason", hint="choose one of the list")
    if decision == "reject" and reason is None:
        raise InputError("rejecting needs a reason", hint="choose one of the list")


def clean_comment(text: str | None) -> str | None:
    """A comment without control characters, None where nothing is left; ``InputError`` where too long."""
    said = " ".join("".join(c if c.isprintable() else " " for c in text or "").split())
    if len(said) > LONGEST_COMMENT:
        raise InputError(f"a comment has at most {LONGEST_COMMENT} characters")
    return said or None


def grade_labels(column: str) -> list[str]:
    """What the Fazekas scores 0 to 3 mean, from the data dictionary."""
    allowed = load_dictionary().column("fazekas_ratings", column).allowed or {}
    return [str(allowed[grade]) for grade in sorted(allowed)]
