"""The short table that ends the demo, read from the registry alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

    from la_outcomes.cli.demo_plan import DemoPlan

_PREDICTION = "LA volume on CT v Pseudo-label volume"


def summary(plan: DemoPlan) -> str:
    """Patients, measured and not, agreement on the external test, odds ratio beside the truth, what next."""
    from contextlib import closing

    from la_outcomes.registry.database import open_read_only

    with closing(open_read_only(plan.registry)) as connection:
        lines = ["", "Everything below is SIMULATED.", *_counts(connection), *_agreement(connection)]
        lines += [*_models(connection), *_odds_ratio(connection)]
    return "\n".join([*lines, "", f"report: {plan.page}", "", "Try next:", *_next(plan)])


def _counts(connection: duckdb.DuckDBPyConnection) -> list[str]:
    rows = connection.execute(
        "SELECT count(*), count(la_volume_ml), count(*) FILTER (model_kind = 'segmentation') "
        "FROM current_la_volume"
    ).fetchone()
    reasons = connection.execute(
        "SELECT not_measured_reason, count(*) FROM current_la_volume WHERE la_volume_ml IS NULL "
        "GROUP BY ALL ORDER BY 2 DESC, 1"
    ).fetchall()
    patients, measured, from_images = rows or (0, 0, 0)
    lines = [
        _line("patients", f"{patients}, of whom {from_images} with images"),
        _line("LA volume measured", str(measured)),
        _line("not measured", str(patients - measured)),
    ]
    return lines + [f"    {count:4d}  {reason}" for reason, count in reasons]


def _agreement(connection: duckdb.DuckDBPyConnection) -> list[str]:
    asked = (
        ("median DSC", "median Dice", "lesion load: all"),
        ("CCC", "ccc", _PREDICTION),
        ("Pearson r", "pearson_r", _PREDICTION),
    )
    lines = ["external test, the demo's model against the pseudo-labels"]
    for printed, statistic, specification in asked:
        found = _results(connection, statistic, specification, "external test")
        lines.append(_line(f"  {printed}", _estimate(found[0]) if found else "no answer in so few patients"))
    return lines


def _models(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Each model against the LA drawn visible on the external test's CTs."""
    rows = connection.execute(
        "SELECT if(o.is_active, 'the demo''s own', o.name), count(*), median(g.dsc), avg(g.volume_error_ml) "
        "FROM segmentation_scores g JOIN models o USING (model_sha256) JOIN scans s USING (scan_id) "
        "JOIN patients p USING (patient_id) WHERE g.reference = 'truth' AND p.cohort = 'external_test' "
        "GROUP BY o.is_active, o.name ORDER BY o.is_active DESC"
    ).fetchall()
    lines = ["external test, against the LA that was drawn visible on CT"]
    for name, n, dsc, error in rows:
        told = "no Dice" if dsc is None else f"median DSC {dsc:.2f}"
        lines.append(_line(f"  {name}", f"{told}, mean error {error:+.1f} mL, n = {n}"))
    return lines


def _odds_ratio(connection: duckdb.DuckDBPyConnection) -> list[str]:
    found = _results(connection, "cOR", "proportional odds, fully adjusted%", "%")
    true = _results(connection, "true cOR", "%", "%")
    naive = _estimate(found[0]) if found else "no answer in so few patients"
    lines = [
        "clinical cohort: common odds ratio of LA volume for a worse 3-month mRS",
        _line("  fully adjusted", naive),
    ]
    if found and true:
        truth = true[0]["estimate"]
        lines.append(_line("  the simulation's true one", f"{truth:.2f}"))
        lines.append(_line("  exposure of both", str(found[0]["exposure"])))
        share = math.log(found[0]["estimate"]) / math.log(truth)
        lines.append(f"  on the log scale the estimate is {share:.0%} of the truth: the error of volumes")
        lines.append("  draws it to 1, chance either way (see the interval)")
    return lines


def _results(
    connection: duckdb.DuckDBPyConnection, statistic: str, specification: str, term: str
) -> Sequence[dict[str, Any]]:
    cursor = connection.execute(
        "SELECT r.estimate, r.ci_low, r.ci_high, r.n, r.exposure FROM results r JOIN runs USING (run_id) "
        "WHERE r.statistic = ? AND r.specification LIKE ? AND r.term LIKE ? "
        "ORDER BY started_at DESC, r.result_id",
        [statistic, specification, term],
    )
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _estimate(row: dict[str, Any]) -> str:
    text = f"{row['estimate']:.2f}"
    if row["ci_low"] is not None:
        text += f" (95 % CI {row['ci_low']:.2f} to {row['ci_high']:.2f})"
    return f"{text}, n = {row['n']}"


def _line(name: str, value: str) -> str:
    return f"{name:<28} {value}"


def _next(plan: DemoPlan) -> list[str]:
    return [
        f'  la-outcomes query "SELECT * FROM cohort_flow" --registry {plan.registry}',
        f"  python analyses/07_outcome_mrs.py --registry {plan.registry} --out {plan.out / 'by-hand'}",
        "  la-outcomes check YOUR_SCAN.nii.gz",
    ]
