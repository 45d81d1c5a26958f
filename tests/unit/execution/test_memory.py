"""A worker's memory limit, and what is refused because of it."""

from pathlib import Path

import numpy as np
import pytest

from la_outcomes.errors import ResourceError, UsageError
from la_outcomes.execution.memory import memory_limit_bytes
from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import read_image, write_image


def test_no_limit_unless_one_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LA_OUTCOMES_MEMORY_GB", raising=False)
    assert memory_limit_bytes() is None
    monkeypatch.setenv("LA_OUTCOMES_MEMORY_GB", "1.5")
    assert memory_limit_bytes() == 1_500_000_000


@pytest.mark.parametrize("given", ["much", "0", "-1", "nan", ""])
def test_a_limit_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("LA_OUTCOMES_MEMORY_GB", given)
    with pytest.raises(UsageError, match="LA_OUTCOMES_MEMORY_GB"):
        memory_limit_bytes()


def test_a_scan_too_large_for_the_worker_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_image(tmp_path / "scan.nii.gz", Image(np.zeros((100, 100, 10), np.float32), np.eye(4)))
    monkeypatch.setenv("LA_OUTCOMES_MEMORY_GB", "0.254")
    with pytest.raises(ResourceError, match=r"100000 voxels need about 0\.3 GB"):
        read_image(path)
    monkeypatch.setenv("LA_OUTCOMES_MEMORY_GB", "0.26")
    assert read_image(path).shape == (100, 100, 10)
