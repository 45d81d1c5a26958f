"""What is said of one CT in DICOM: its LA mask and volume, and the model that made them."""

from __future__ import annotations

from dataclasses import dataclass

from la_outcomes import __version__
from la_outcomes.errors import UsageError
from la_outcomes.imaging.geometry import Image

MANUFACTURER = "la_outcomes"
SCHEME = "99LAOUTCOMES"
"""Private coding scheme (PS3.16 8.2: private designators begin with 99) for what has no code of its own."""


@dataclass(frozen=True, eq=False)
class Finding:
    """LA of one scan. ``mask`` holds 0 and 1 on the NIfTI grid; volumes in mL, limits None where unknown."""

    scan_id: str
    mask: Image
    la_volume_ml: float
    model_name: str
    model_sha256: str
    parameters_sha256: str
    low_ml: float | None = None
    high_ml: float | None = None
    is_simulated: bool = False

    @property
    def model_version(self) -> str:
        """The model's hash, short enough for DICOM's fields."""
        return self.model_sha256[:16]

    @property
    def title(self) -> str:
        """What viewers show as the series' description."""
        return ("SIMULATED " if self.is_simulated else "") + "LA by " + self.model_name[:40]

    @property
    def software(self) -> str:
        """Package and version."""
        return f"la_outcomes {__version__}"

    def entropy(self, what: str, series_uid: str) -> list[str]:
        """Sources of a UID that is the same whenever the same result is written again."""
        return ["la_outcomes", what, series_uid, self.model_sha256, self.parameters_sha256]


def require_highdicom() -> None:
    """Raise ``UsageError`` with a hint where the optional packages are not installed."""
    try:
        import highdicom  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "DICOM SEG and SR need the package highdicom", hint='pip install "la-outcomes[dicom]"'
        ) from error
