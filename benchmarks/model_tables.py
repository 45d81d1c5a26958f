"""Tables and figures of the rows that ``benchmarks/models.py`` makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from la_outcomes.analysis.agreement import lins_ccc
from la_outcomes.simulation.parameters import simulator_version

BINS = (0.0, 1e-6, 2.0, 5.0, 15.0, 60.0, 1000.0)
INFARCT_SIZES = ((1.0, 5.0), (5.0, 20.0), (20.0, np.inf))
_FEWEST = 3
BIN_NAMES = ("none", "< 2 mL", "2-5 mL", "5-15 mL", "15-60 mL", "> 60 mL")


def agreement(rows: pd.DataFrame) -> str:
    """CCC, r, slope and mean error of volumes."""
    truth, found = rows["truth_ml"].to_numpy(), rows["predicted_ml"].to_numpy()
    if len(rows) < _FEWEST or np.ptp(truth) == 0 or np.ptp(found) == 0:
        return "too few"
    slope = float(np.polyfit(truth, found, 1)[0])
    r = np.corrcoef(truth, found)[0, 1]
    return (
        f"CCC {lins_ccc(truth, found).ccc:.3f}, r {r:.3f}, slope {slope:.2f}, "
        f"mean error {np.mean(found - truth):+.2f} mL"
    )


def quartiles(values: pd.Series[float]) -> str:
    """Median and quartiles."""
    kept = values.dropna()
    return "-" if kept.empty else "{:.2f} ({:.2f}-{:.2f})".format(*kept.quantile([0.5, 0.25, 0.75]))


def load_table(rows: pd.DataFrame) -> str:
    """By load: Dice, volume error, median (quartiles)."""
    rows = rows.assign(
        bin=np.digitize(rows["truth_ml"], BINS[1:-1]), error=rows["predicted_ml"] - rows["truth_ml"]
    )
    lines = [
        "| load | n | DSC | mean DSC | predicted - true, mL | predicted, mL |",
        "|---|---|---|---|---|---|",
    ]
    for number, name in enumerate(BIN_NAMES):
        part = rows[rows["bin"] == number]
        if len(part):
            mean = "-" if part["dice"].isna().all() else f"{part['dice'].mean():.2f}"
            cells = [name, len(part), quartiles(part["dice"]), mean]
            cells += [quartiles(part["error"]), quartiles(part["predicted_ml"])]
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def group_table(rows: pd.DataFrame, column: str) -> str:
    """By a column: n, mean Dice above 2, 5 and 15 mL, agreement, false volume."""
    lines = [
        f"| {column} | n | mean DSC > 2 / > 5 / > 15 mL | agreement | false mL on lesion-free heads (n) |",
        "|---|---|---|---|---|",
    ]
    for name, part in [*rows.groupby(column), ("all", rows)]:
        above = " / ".join(f"{part.loc[part['truth_ml'] > least, 'dice'].mean():.2f}" for least in (2, 5, 15))
        free = part.loc[part["truth_ml"] == 0, "predicted_ml"]
        told = f"{free.mean():.2f} ({len(free)})" if len(free) else "-"
        lines.append(f"| {name} | {len(part)} | {above} | {agreement(part)} | {told} |")
    return "\n".join(lines)


def infarct_lines(rows: pd.DataFrame) -> str:
    """Share of infarcts labelled as lesion, of those above 1 mL, and by their size."""
    lines = []
    for name in ("acute", "old"):
        part = rows[rows[f"{name}_ml"] > 1]
        share = part[f"{name}_labelled"]
        pooled = float((share * part[f"{name}_ml"]).sum() / max(part[f"{name}_ml"].sum(), 1e-9))
        lines.append(
            f"- {name} infarcts (n {len(part)}): mean share labelled {100 * share.mean():.1f} %, "
            f"median {100 * share.median():.1f} %, of all their volume {100 * pooled:.1f} %"
            + "".join(_of_size(part, name, size) for size in INFARCT_SIZES)
        )
    return "\n".join(lines)


def _of_size(part: pd.DataFrame, name: str, size: tuple[float, float]) -> str:
    found = part.loc[part[f"{name}_ml"].between(*size), f"{name}_labelled"]
    limits = f"{size[0]:g}-{size[1]:g} mL" if np.isfinite(size[1]) else f"> {size[0]:g} mL"
    return f"; {limits} (n {len(found)}): mean {100 * found.mean():.1f} %" if len(found) else ""


def ceiling_line(rows: pd.DataFrame, least_ml: float) -> str:
    """The model's mean Dice beside the ceiling's, above a volume."""
    part = rows[(rows["truth_ml"] > least_ml) & rows["ceiling_dice"].notna()]
    ceiling_mean, own = part["ceiling_dice"].mean(), part["dice"].mean()
    return f"Ceiling above {least_ml:g} mL: mean DSC {ceiling_mean:.2f}, the model {own:.2f} (n {len(part)})."


def reach_table(rows: pd.DataFrame) -> str:
    """What was aimed at for CT or FLAIR, what came out, and its standard error where it is a mean."""
    if len(rows) < _FEWEST:
        return "Too few volumes for what was aimed at."
    truth, found = rows["truth_ml"].to_numpy(), rows["predicted_ml"].to_numpy()
    ccc = lins_ccc(truth, found).ccc
    free, overlap = rows.loc[rows["truth_ml"] == 0, "predicted_ml"], rows.set_index("truth_ml")["dice"]
    least = "false volume on lesion-free heads < 2 mL"
    if "ceiling_dice" in rows:
        r = float(np.corrcoef(truth, found)[0, 1])
        lines = [_line("CCC against visible LA >= .90", f"{ccc:.3f}", ccc >= 0.90)]
        lines += [_line("r >= .95", f"{r:.3f}", r >= 0.95)]
        lines += [_mean_line("DSC above 15 mL >= .60", overlap[overlap.index > 15], 0.60)]
        lines += [_mean_line("DSC above 2 mL >= .50", overlap[overlap.index > 2], 0.50)]
        infarcts: tuple[str, ...] = ("acute", "old")
    else:
        lines = [_mean_line("DSC above 5 mL >= .80", overlap[overlap.index > 5], 0.80)]
        lines += [_line("CCC >= .95", f"{ccc:.3f}", ccc >= 0.95)]
        infarcts = ("acute",)
    lines.append(_mean_line(least, -free, -2.0, " mL"))
    for kind in infarcts:
        share = -100 * rows.loc[rows[f"{kind}_ml"] > 1, f"{kind}_labelled"]
        lines.append(_mean_line(f"share of an {kind} infarct labelled < 10 %", share, -10.0, " %"))
    return "\n".join(["| wanted | came out | reached |", "|---|---|---|", *lines])


def _line(wanted: str, told: str, reached: bool) -> str:
    return f"| {wanted} | {told} | {'yes' if reached else 'no'} |"


def _mean_line(wanted: str, values: pd.Series[float], least: float, unit: str = "") -> str:
    """A mean that is to be no less than ``least`` (values that are to be small come with a minus)."""
    kept = values.dropna()
    if kept.empty:
        return f"| {wanted} | none | - |"
    mean, error = abs(float(kept.mean())), float(kept.std() / np.sqrt(len(kept))) if len(kept) > 1 else 0.0
    digits = 1 if unit == " %" else 2
    told = f"{mean:.{digits}f}{unit} (SE {error:.{digits}f}, n {len(kept)})"
    return _line(wanted, told, bool(kept.mean() >= least))


def report(rows: pd.DataFrame, name: str) -> str:
    """The tables of one model."""
    parts = [f"## {name}: {len(rows)} volumes, model {rows['model_sha256'].iloc[0][:12]}"]
    parts += [reach_table(rows), load_table(rows), group_table(rows, "anatomy")]
    for column in ("vendor_seen", "vendor", "has_skull", "thickness_mm"):
        if column in rows:
            parts.append(group_table(rows, column))
    parts.append(infarct_lines(rows))
    if "ceiling_dice" in rows:
        parts += [ceiling_line(rows, least) for least in (2, 15)]
    return "\n\n".join(parts)


def figures(rows: pd.DataFrame, part: str) -> dict[str, Any]:
    """What the card says of the model's quality, by load and by vendor; on simulated heads alone."""
    loads = np.digitize(rows["truth_ml"], BINS[1:-1])
    groups = {f"load {BIN_NAMES[k]}": rows[loads == k] for k in sorted(set(loads))}
    if "vendor_seen" in rows:
        names = {True: "vendors of the training", False: "vendor never trained on"}
        groups |= {names[bool(seen)]: found for seen, found in rows.groupby("vendor_seen")}
    groups |= {str(name): found for name, found in rows.groupby("anatomy")} | {"all": rows}
    return {
        "what": f"simulated heads of the {part} part, which no training saw; no patient",
        "simulator_version": simulator_version(),
        **{name: _figures_of(found) for name, found in groups.items()},
    }


def _figures_of(rows: pd.DataFrame) -> dict[str, Any]:
    free = rows.loc[rows["truth_ml"] == 0, "predicted_ml"]
    told = {"volumes": len(rows), "dice": rows["dice"].mean(), "false_ml_lesion_free": free.mean()}
    told["error_ml"] = (rows["predicted_ml"] - rows["truth_ml"]).mean()
    if len(rows) > 2 and rows["truth_ml"].std() > 0:
        told["ccc"] = lins_ccc(rows["truth_ml"].to_numpy(), rows["predicted_ml"].to_numpy()).ccc
    return {name: round(float(value), 3) for name, value in told.items() if np.isfinite(value)}
