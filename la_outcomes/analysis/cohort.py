"""Load what analyses start from: the registry's views as frames, for a population stated in SQL.

The rules (which CT, which model, which rating) stand in the registry's views and nowhere else. Everything
is read-only.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from la_outcomes.registry.database import open_read_only
from la_outcomes.registry.query import check_condition

EVERYBODY = "TRUE"


def load_cohort(registry: str | Path, population: str | None = None) -> pd.DataFrame:
    """Return view ``analysis_cohort``, one row a patient, sorted by patient_id.

    Parameters
    ----------
    population : an SQL condition on the view's columns, such as ``cohort = 'clinical' AND age_years >= 50``.

    Raises
    ------
    InputError
        There is no registry.
    UsageError
        ``population`` is no condition on the view's columns.
    """
    return _select(registry, "SELECT a.* FROM ({chosen}) a ORDER BY a.patient_id", population)


def load_pairs(registry: str | Path, population: str | None = None) -> pd.DataFrame:
    """Return view ``agreement_pairs`` of the population's patients, one row a CT-FLAIR pair."""
    return _select(
        registry,
        "SELECT g.*, a.fazekas_max, v.la_volume_calibrated_ml FROM agreement_pairs g"
        " JOIN ({chosen}) a USING (patient_id) LEFT JOIN scan_la_volume v ON v.scan_id = g.scan_id"
        " ORDER BY g.scan_id, g.flair_scan_id",
        population,
    )


def load_picture_paths(registry: str | Path, scan_ids: Sequence[str]) -> dict[str, str]:
    """Return the overlay of each scan that has one, relative to the folder the segmentation wrote to."""
    sql = (
        "SELECT v.scan_id, m.picture_path FROM scan_la_volume v"
        " JOIN la_measurements m USING (scan_id, model_sha256, parameters_sha256)"
        " WHERE m.picture_path IS NOT NULL AND v.scan_id IN (SELECT unnest(?)) ORDER BY 1"
    )
    with closing(open_read_only(registry)) as connection:
        return dict(connection.execute(sql, [list(scan_ids)]).fetchall())


def load_other_volumes(registry: str | Path, population: str | None = None) -> pd.DataFrame:
    """Return patient_id and other_model_ml: the volume of the same CT by another model, active or not.

    Of several other models the first in order of kind and name counts.
    """
    return _select(
        registry,
        """
        SELECT a.patient_id, m.la_volume_ml AS other_model_ml
        FROM ({chosen}) a
        JOIN la_measurements m ON m.scan_id = a.scan_id AND m.model_sha256 <> a.model_sha256
        JOIN models o ON o.model_sha256 = m.model_sha256
        WHERE m.la_volume_ml IS NOT NULL
        QUALIFY row_number() OVER (
            PARTITION BY a.patient_id ORDER BY o.kind, o.name, m.model_sha256, m.parameters_sha256
        ) = 1
        ORDER BY a.patient_id
        """,
        population,
    )


def load_repeats(registry: str | Path, population: str | None = None) -> pd.DataFrame:
    """Return pairs of CTs of one patient measured by one active model: the two earliest usable ones.

    Columns patient_id, is_simulated, first_ml, second_ml, days_apart, same_scanner.
    """
    return _select(
        registry,
        """
        WITH scan AS (
            SELECT v.patient_id, v.scan_id, v.la_volume_ml, v.model_sha256, s.days_from_onset, s.manufacturer,
                   row_number() OVER (
                       PARTITION BY v.patient_id, v.model_sha256
                       ORDER BY s.days_from_onset NULLS LAST, v.scan_id
                   ) AS place
            FROM scan_la_volume v JOIN scans s USING (scan_id)
            WHERE v.la_volume_ml IS NOT NULL
        )
        SELECT a.patient_id, a.is_simulated, x.la_volume_ml AS first_ml, y.la_volume_ml AS second_ml,
               y.days_from_onset - x.days_from_onset AS days_apart,
               x.manufacturer IS NOT DISTINCT FROM y.manufacturer AS same_scanner
        FROM ({chosen}) a
        JOIN scan x ON x.patient_id = a.patient_id AND x.place = 1 AND x.model_sha256 = a.model_sha256
        JOIN scan y ON y.patient_id = a.patient_id AND y.place = 2 AND y.model_sha256 = a.model_sha256
        ORDER BY a.patient_id
        """,
        population,
    )


def load_pairing(registry: str | Path, population: str | None = None) -> pd.DataFrame:
    """Return how far each patient's pairing got: has_flair, is_paired, is_usable, and why it ended there.

    A patient with several pairs counts as usable where one of them is.
    """
    return _select(
        registry,
        """
        WITH flair AS (SELECT DISTINCT patient_id FROM scans WHERE modality <> 'CT'),
        label AS (
            SELECT s.patient_id, bool_or(l.is_usable) AS is_usable,
                   min(coalesce(l.reason, 'pseudo-label ' || l.status)) FILTER (NOT l.is_usable) AS reason
            FROM pairs p
            JOIN scans s ON s.scan_id = p.ct_scan_id
            LEFT JOIN pair_label l ON l.ct_scan_id = p.ct_scan_id AND l.flair_scan_id = p.flair_scan_id
            GROUP BY s.patient_id
        )
        SELECT a.patient_id, f.patient_id IS NOT NULL AS has_flair, l.patient_id IS NOT NULL AS is_paired,
               coalesce(l.is_usable, FALSE) AS is_usable, l.reason AS no_label_reason,
               if(f.patient_id IS NULL, 'no FLAIR', 'FLAIR not paired with a CT') AS no_pair_reason
        FROM ({chosen}) a LEFT JOIN flair f USING (patient_id) LEFT JOIN label l USING (patient_id)
        ORDER BY a.patient_id
        """,
        population,
    )


@dataclass(frozen=True)
class Truth:
    """What generated the simulated patients: the log common odds ratio per ``sd`` of ln(tissue mL + 1).

    ``log_or`` is None where the simulation violates proportional odds and no common odds ratio exists.
    """

    log_or: float | None
    sd: float
    simulator_version: str

    @property
    def odds_ratio(self) -> float | None:
        """The conditional common odds ratio per fixed SD."""
        return None if self.log_or is None else float(np.exp(self.log_or))


def load_truth(registry: str | Path, population: str | None = None) -> Truth | None:
    """Return the truth shared by all patients of the population; None where any is real or truths differ."""
    rows = _select(
        registry,
        "SELECT DISTINCT t.true_log_or_per_sd, t.sd_ln_tissue_volume, t.simulator_version"
        " FROM ({chosen}) a LEFT JOIN simulation_truth t USING (patient_id)",
        population,
    )
    if len(rows) != 1 or rows["sd_ln_tissue_volume"].isna().any():
        return None
    log_or = rows["true_log_or_per_sd"].iloc[0]
    return Truth(
        None if pd.isna(log_or) else float(log_or),
        float(rows["sd_ln_tissue_volume"].iloc[0]),
        str(rows["simulator_version"].iloc[0]),
    )


def load_tables(registry: str | Path, queries: dict[str, str]) -> dict[str, pd.DataFrame]:
    """Return the answer to each named query, for provenance."""
    with closing(open_read_only(registry)) as connection:
        return {name: connection.execute(sql).df() for name, sql in queries.items()}


def _select(registry: str | Path, sql: str, population: str | None) -> pd.DataFrame:
    chosen = f"SELECT * FROM analysis_cohort WHERE ({population or EVERYBODY}\n)"
    with closing(open_read_only(registry)) as connection:
        if population is not None:
            check_condition(connection, population)
        return connection.execute(sql.format(chosen=chosen)).df()
