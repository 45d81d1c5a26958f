"""What a registry holds, and which work is left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from la_outcomes.dictionary import load_dictionary
from la_outcomes.registry.database import open_read_only
from la_outcomes.registry.rules import quote

_COHORTS = """
SELECT cohort, is_simulated AS simulated, count(*) AS patients, count(scan_id) AS ct,
       count(la_volume_ml) AS la, count(wmh_volume_ml) AS wmh, count(mrs_3m) AS mrs_3m,
       count(mrs_discharge) AS mrs_discharge
FROM analysis_cohort JOIN lookup_cohort l ON l.code = cohort
GROUP BY cohort, is_simulated, position ORDER BY position, is_simulated
"""
_REASONS = """
SELECT not_measured_reason AS reason, count(*) AS patients
FROM current_la_volume WHERE not_measured_reason IS NOT NULL GROUP BY ALL ORDER BY patients DESC, reason
"""
_MODELS = """
SELECT name, kind, is_active, left(m.model_sha256, 12) AS sha256, count(l.scan_id) AS measurements
FROM models m LEFT JOIN la_measurements l USING (model_sha256) GROUP BY ALL ORDER BY kind, name, sha256
"""
_LEFT = """
SELECT 'CT without any LA measurement: segment' AS work, count(*) AS n FROM scans s
WHERE modality = 'CT' AND is_contrast_enhanced IS NOT TRUE
  AND NOT EXISTS (FROM la_measurements m WHERE m.scan_id = s.scan_id)
UNION ALL SELECT 'failures that may pass: run segment again', count(*) FROM la_measurements WHERE is_transient
UNION ALL SELECT 'failures that may pass: run label again', count(*) FROM pseudo_labels WHERE is_transient
UNION ALL SELECT 'pseudo-labels that wait for a look: review', count(*) FROM pair_label
WHERE status = 'review' AND NOT is_usable
"""


@dataclass(frozen=True)
class Status:
    """Counts for people: each list holds rows as dictionaries."""

    schema_version: int
    last_ingest: str | None
    tables: dict[str, int]
    cohorts: list[dict[str, Any]]
    not_measured: list[dict[str, Any]]
    models: list[dict[str, Any]]
    left_to_do: list[dict[str, Any]]
    n_erased: int


def status(registry: str | Path) -> Status:
    """Count what is in the registry; raises ``InputError`` where there is none."""
    with open_read_only(registry) as connection:

        def rows(sql: str) -> list[dict[str, Any]]:
            cursor = connection.execute(sql)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

        (head,) = rows("SELECT max(version) AS version FROM schema_migrations")
        (last,) = rows("SELECT max(ingested_at)::VARCHAR AS moment FROM ingested")
        counts = {
            name: rows(f"SELECT count(*) AS n FROM {quote(name)}")[0]["n"]
            for name in load_dictionary().tables
        }
        (erased,) = rows("SELECT count(*) AS n FROM erasures WHERE is_patient")
        left = [row for row in rows(_LEFT) if row["n"]]
        return Status(
            head["version"],
            last["moment"],
            counts,
            rows(_COHORTS),
            rows(_REASONS),
            rows(_MODELS),
            left,
            erased["n"],
        )
