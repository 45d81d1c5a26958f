"""What the rows of the coregistration benchmark come to, as tables for people."""

from __future__ import annotations

import numpy as np
import pandas as pd

LARGE_ML = 3.0
LEAST_RATIO = 0.85
LARGEST_P95_MM = 2.0
DEFAULT = "default"


def method_table(rows: pd.DataFrame) -> str:
    """One line a method, Markdown: mean (SD) over its pairs, the worst, failures, median CPU seconds."""
    head = (
        "method", "n", "Dice/oracle", "worst", "below .85 with WMH > 3 mL", "lesion error",
        "its 95th percentile", "above 2 mm", "brain error", "volume ratio", "folded voxels", "failed",
        "CPU s, median",
    )  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, group in rows.groupby("method", sort=False):
        lines.append(f"| {' | '.join([str(name), *_cells(group)])} |")
    return "\n".join(lines)


def _cells(group: pd.DataFrame) -> list[str]:
    large = group[group.wmh_ml > LARGE_ML]
    return [
        str(len(group)),
        _spread(group.ratio, 3),
        f"{group.ratio.min():.2f}",
        f"{(large.ratio < LEAST_RATIO).sum()} of {len(large)}",
        _spread(group.lesion_mm, 2),
        _spread(group.lesion_p95_mm, 2),
        f"{(group.lesion_p95_mm > LARGEST_P95_MM).sum()}",
        _spread(group.brain_mm, 2),
        _spread(group.volume_ratio, 3),
        f"{group.folded.max():.4f}",
        f"{group.failed.sum()}",
        f"{group.cpu_s.median():.1f}",
    ]


def _spread(values: pd.Series, digits: int) -> str:
    return f"{values.mean():.{digits}f} ({values.std():.{digits}f})"


def lead_of_default(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean difference in Dice/oracle to each method on the pairs that both have, with its SE."""
    wide = rows.pivot(index="pair", columns="method", values="ratio")
    result = {}
    for name in wide.columns.drop(DEFAULT, errors="ignore"):
        apart = (wide[DEFAULT] - wide[name]).dropna()
        result[name] = {"n": len(apart), "lead": apart.mean(), "se": apart.std() / np.sqrt(len(apart))}
    return pd.DataFrame(result).T


def by_difference(rows: pd.DataFrame) -> pd.DataFrame:
    """Dice/oracle by local difference (mm) and method, with n."""
    table = rows.pivot_table(index="method", columns="local_mm", values="ratio", aggfunc="mean", sort=False)
    return table.assign(n=rows.groupby("method", sort=False).size())


def by_load(rows: pd.DataFrame) -> pd.DataFrame:
    """Dice/oracle of the default by WMH volume: mean, lowest, n."""
    bands = pd.cut(
        rows.wmh_ml, [0, LARGE_ML, 10, 30, 200], labels=["to 3 mL", "3 to 10", "10 to 30", "above 30"]
    )
    chosen = rows[rows.method == DEFAULT]
    return chosen.groupby(bands, observed=True).ratio.agg(["mean", "std", "min", "size"])


def mask_table(masks: pd.DataFrame) -> pd.DataFrame:
    """Brain masks against truth: Dice and error of the intracranial volume."""
    columns = {}
    for name in ("ct", "flair"):
        error, dice = masks[f"{name}_icv_error"], masks[f"{name}_dice"]
        columns[name] = {
            "n": len(masks), "dice": dice.mean(), "dice_sd": dice.std(), "worst": dice.min(),
            "below_093": (dice < 0.93).sum(), "icv_bias": error.mean(), "icv_error": error.abs().mean(),
            "icv_error_above_3_percent": (error.abs() > 0.03).sum(), "icv_worst": error.abs().max(),
        }  # fmt: skip
    return pd.DataFrame(columns).T
