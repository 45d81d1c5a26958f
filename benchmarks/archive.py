"""A simulated archive with planted faults, imported by one command: choices against what was planted.

python benchmarks/archive.py [--series 300] [--seed 1] [--keep FOLDER] [--out docs/benchmarks/archive.md]

Studies of simulated heads (and of other things) are written as mixed nameless DICOM files: localisers, bone
and lung kernels, contrast, thin and coronal reconstructions, duplicates, compressed and enhanced objects,
tilted, uneven, overlapping and incomplete stacks, faulty headers, other body parts, phantoms, MRI. Then
``la-outcomes convert ARCHIVE --out OUT`` runs once, and each series' row of ``series_choices`` is compared
with what was planted: whether it was chosen, by which rule it was left out, and words of the reason. Each
written scan is compared with the head it was cut from, by place: the median difference of values is noise.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from planted_archive.build import Planted, build

from la_outcomes.cli.main import run
from la_outcomes.imaging.nifti import read_image
from la_outcomes.imaging.pseudonyms import VARIABLE, pseudonyms_by_key
from la_outcomes.shards import read_shard, write_text_atomic

NOISE_FACTOR = 2.5


def choices_in(out: Path) -> dict[str, dict[str, Any]]:
    """Rows of ``series_choices`` by the series' keyed hash."""
    shards = (read_shard(path)["rows"] for path in (out / "shards").glob("conversion-*.json"))
    return {row["series_uid_hash"]: row for rows in shards for row in rows["series_choices"]}


def fault(planted: Planted, row: dict[str, Any] | None) -> str | None:
    """What is wrong with a choice; None where it is what was planted."""
    plant = planted.plant
    if row is None:
        return "no row"
    if row["chosen"] != (plant.rule is None):
        return f"{'chosen' if row['chosen'] else 'left out: ' + str(row['reason'])}"
    if plant.rule is not None and row["rule"] != plant.rule:
        return f"left out by {row['rule']}, not {plant.rule}: {row['reason']}"
    if plant.reason not in str(row["reason"] or ""):
        return f"another reason: {row['reason']}"
    return None


def difference_from_source(planted: Planted, path: Path) -> float:
    """Median difference between a written scan and what it was cut from, in units of the noise."""
    image = read_image(path)
    truth = planted.plant.source(planted.head).seen(image.shape, image.affine)
    inside = truth > (-100 if planted.plant.look.fields.get("Modality") != "MR" else 50)
    return float(np.median(np.abs(image.data - truth)[inside])) / planted.plant.look.noise


def compare(planted: list[Planted], out: Path, key: Path) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Faults in words, and one row a kind of series: planted, as planted, wrong, greatest difference."""
    names, rows = pseudonyms_by_key(key, outside=out), choices_in(out)
    with open(out / "scans.csv", encoding="utf-8") as handle:
        paths = {row["scan_id"]: out / row["path"] for row in csv.DictReader(handle)}
    wrong: list[str] = []
    table: dict[str, list[Any]] = {}
    for one in planted:
        row = rows.get(names.hash_of("series", one.series_uid))
        found = fault(one, row)
        entry = table.setdefault(one.plant.name, [one.plant.rule or "chosen", 0, 0, 0.0])
        if row is not None and row["chosen"] and one.plant.rule is None:
            off = difference_from_source(one, paths[row["scan_id"]])
            entry[3] = max(entry[3], off)
            if off > NOISE_FACTOR and "overlap" not in one.plant.name:
                found = f"values differ from the head's by {off:.1f} times the noise"
        entry[1] += 1
        entry[2] += found is not None
        if found is not None:
            wrong.append(f"{one.study} / {one.plant.name}: {found}")
    unknown = len(rows) - len(planted)
    if unknown:
        wrong.append(f"{unknown} more rows than series were planted")
    return wrong, [(name, *entry) for name, entry in table.items()]


def report(
    planted: list[Planted], wrong: list[str], table: list[tuple[Any, ...]], facts: dict[str, Any]
) -> str:
    """The page: figures first, then one line a kind of series."""
    ms_a_file = 1000 * facts["seconds"] / facts["files"]
    lines = [
        "# Archive: choices against what was planted", "", "```", "python benchmarks/archive.py", "```", "",
        "2 cores, AMD EPYC, no GPU; 2026-11-26.", "",
        f"- {len(planted)} series in {facts['studies']} studies, {facts['files']} files "
        f"({facts['megabytes']:.0f} MB); one command, exit code {facts['exit']} (4: series that cannot be "
        "converted are listed).",
        f"- **{len(wrong)} wrong** of {len(planted)} choices: chosen or not, the rule, words of its reason.",
        f"- {facts['seconds']:.0f} CPU s in one process: {ms_a_file:.1f} ms a file.",
        "",
        "Difference: median over the head's voxels of |written value - the simulated head's value at that "
        "place|, in units of the noise that was added (pure noise: 0.67); where slices overlap or are "
        "uneven, neighbouring slices are mixed and the figure is larger. The greatest is shown.", "",
        "| planted | n | must be | wrong | difference |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for name, rule, n, n_wrong, off in table:
        must = rule if rule == "chosen" else f"left out: {rule}"
        lines.append(f"| {name} | {n} | {must} | {n_wrong} | {f'{off:.2f}' if off else ''} |")
    return "\n".join([*lines, "", *(f"- wrong: {what}" for what in wrong)]).rstrip() + "\n"


def measure(folder: Path, n_series: int, seed: int) -> tuple[str, list[str]]:
    """Build, import and compare below ``folder``; the page and the faults."""
    archive, out, key = folder / "archive", folder / "out", folder / "key"
    planted = build(archive, n_series, seed)
    files = [path for path in archive.rglob("*") if path.is_file()]
    os.environ[VARIABLE] = str(key)
    started = time.process_time()
    code = run(["convert", str(archive), "--out", str(out)])
    facts = {
        "exit": code, "seconds": time.process_time() - started, "files": len(files),
        "megabytes": sum(path.stat().st_size for path in files) / 1e6,
        "studies": len({one.number for one in planted}),
    }  # fmt: skip
    wrong, table = compare(planted, out, key)
    return report(planted, wrong, table, facts), wrong


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--series", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder to leave archive and scans in")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks/archive.md"))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        page, wrong = measure(asked.keep or Path(temporary), asked.series, asked.seed)
    print(page)
    write_text_atomic(asked.out, page)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
