from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from head_phantom import head_ct
from toy_bundle import write_bundle

from la_outcomes.errors import InputError
from la_outcomes.imaging.nifti import write_image
from la_outcomes.segmentation.bundle import load_bundle
from la_outcomes.segmentation.calibration import Calibration, calibrate, fit_line
from la_outcomes.segmentation.inference import segment_scans
from la_outcomes.shards import read_shard, write_shard


@pytest.fixture
def volumes() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    ct = np.exp(rng.normal(1.5, 0.9, 40))
    return ct, np.expm1(0.4 + 1.1 * np.log1p(ct) + rng.normal(0, 0.25, 40))


def test_line_and_interval_are_those_of_least_squares(volumes: tuple[np.ndarray, np.ndarray]) -> None:
    ct, mri = volumes
    found = fit_line(ct, mri)
    reference = sm.OLS(np.log1p(mri), sm.add_constant(np.log1p(ct))).fit()
    assert [found.intercept, found.slope] == pytest.approx(reference.params)
    assert found.residual_sd == pytest.approx(np.sqrt(reference.mse_resid))
    predicted = reference.get_prediction([[1, np.log1p(7.0)]]).summary_frame(alpha=0.05).iloc[0]
    ours = found.volumes(7.0)
    assert ours["la_volume_calibrated_ml"] == pytest.approx(np.expm1(predicted["mean"]))
    assert ours["la_volume_calibrated_low_ml"] == pytest.approx(np.expm1(predicted["obs_ci_lower"]))
    assert ours["la_volume_calibrated_high_ml"] == pytest.approx(np.expm1(predicted["obs_ci_upper"]))


def test_volumes_are_never_negative(volumes: tuple[np.ndarray, np.ndarray]) -> None:
    found = replace(fit_line(*volumes), intercept=-1.0).volumes(0.0)
    assert found["la_volume_calibrated_low_ml"] == found["la_volume_calibrated_ml"] == 0.0


@pytest.mark.parametrize(
    ("ct", "mri", "reason"),
    [
        (np.arange(5.0), np.arange(5.0), "at least 10"),
        (np.ones(12), np.arange(12.0), "all the same"),
        (np.arange(12.0), np.full(12, np.nan), "finite"),
        (np.arange(12.0) - 1, np.arange(12.0), "not negative"),
    ],
)
def test_unusable_pairs_are_refused(ct: np.ndarray, mri: np.ndarray, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        fit_line(ct, mri)


def test_a_broken_card_is_refused(volumes: tuple[np.ndarray, np.ndarray]) -> None:
    values = asdict(fit_line(*volumes))
    assert Calibration.from_card(values).slope == values["slope"]
    for broken in ({**values, "slope": "steep"}, {**values, "n": 3}, {"slope": 1.0}, {**values, "x": 1}):
        with pytest.raises(InputError):
            Calibration.from_card(broken)


def _measurements(folder: Path, model: str, volumes: np.ndarray) -> None:
    for number, volume in enumerate(volumes):
        row = {"scan_id": f"s{number}", "model_sha256": model, "la_volume_ml": float(volume)}
        rows = {"la_measurements": [row]}
        write_shard(folder, kind="la_measurement", case_id=f"s{number}", key=f"{number:016d}", status="done",
                    rows=rows)  # fmt: skip


def test_a_calibrated_model_gives_calibrated_volumes(
    tmp_path: Path, volumes: tuple[np.ndarray, np.ndarray]
) -> None:
    model = write_bundle(tmp_path / "model")
    before = load_bundle(model)
    _measurements(tmp_path / "fit", before.model_sha256, volumes[0])
    frame = pd.DataFrame({"scan_id": [f"s{n}" for n in range(40)], "wmh_volume_ml": volumes[1]})
    frame.to_csv(tmp_path / "mri.csv", index=False)
    found = calibrate(model, tmp_path / "fit", tmp_path / "mri.csv")
    assert asdict(found) == pytest.approx(asdict(fit_line(*volumes)))
    assert load_bundle(model).model_sha256 == before.model_sha256
    write_image(tmp_path / "head.nii.gz", head_ct(1)[0], dtype=np.int16)
    segment_scans(tmp_path / "head.nii.gz", model, tmp_path / "out")
    shard = read_shard(next((tmp_path / "out" / "shards").glob("la_measurement-*.json")))
    row = shard["rows"]["la_measurements"][0]
    expected = found.volumes(row["la_volume_ml"])
    assert {name: row[name] for name in expected} == pytest.approx(expected)


def test_volumes_of_another_model_and_wrong_tables_are_refused(
    tmp_path: Path, volumes: tuple[np.ndarray, np.ndarray]
) -> None:
    model = write_bundle(tmp_path / "model")
    _measurements(tmp_path / "fit", "f" * 64, volumes[0])
    (tmp_path / "mri.csv").write_text("scan_id,wmh_volume_ml\ns1,3\n")
    with pytest.raises(InputError, match="another model"):
        calibrate(model, tmp_path / "fit", tmp_path / "mri.csv")
    (tmp_path / "mri.csv").write_text("scan,volume\ns1,3\n")
    with pytest.raises(InputError, match="needs columns"):
        calibrate(model, tmp_path / "fit", tmp_path / "mri.csv")
