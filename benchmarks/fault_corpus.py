"""Malformed and hostile inputs, each given to the command line: an error or reason, and nothing else.

python benchmarks/fault_corpus.py [--only TEXT] [--log FILE] [--out docs/benchmarks/fault_corpus.md]

Each input is made in a folder of its own and given to ``check`` or ``convert``. It passes where the exit code
is 3 or 4 (bad input, partly done) with a plain reason; no image, no temporary file and nothing outside the
folder for results is left behind; and memory stayed within 1.5 GB of what the process held before. Oddities
that must not stop a sound scan pass where it is used. A crash, an exit code of 1 or a volume of what is no
head fails. With ``--log`` each result is kept as it comes, and a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from faults.archive_faults import archive_faults
from faults.case import Fault
from faults.dicom_faults import dicom_faults
from faults.nifti_faults import nifti_faults

from la_outcomes.cli.main import run
from la_outcomes.imaging.pseudonyms import VARIABLE
from la_outcomes.shards import read_shard, write_text_atomic

LARGEST_GROWTH_MB = 1500.0
logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Result:
    """What became of one input; ``wrong`` None where it passed."""

    fault: Fault
    exit_code: int
    said: str
    seconds: float
    growth_mb: float
    wrong: str | None


def corpus() -> Iterator[Fault]:
    """All inputs."""
    yield from nifti_faults()
    yield from dicom_faults()
    yield from archive_faults()


def try_one(fault: Fault, folder: Path) -> Result:
    """Make the input, run the verb, look at what is there afterwards."""
    given_folder, out = folder / "in", folder / "out"
    given_folder.mkdir(parents=True)
    given = fault.make(given_folder)
    before = {path for path in folder.rglob("*") if not path.is_relative_to(out)}
    command = ["check", str(given), "--modality", fault.modality]
    if fault.verb == "convert":
        command = ["convert", str(given), "--out", str(out)]
    started, held = time.process_time(), _reset_peak()
    code, said = _run(command)
    seconds, growth = time.process_time() - started, _peak_mb() - held
    after = {path for path in folder.rglob("*") if not path.is_relative_to(out)}
    said = _reason(out) or _plain(said)
    wrong = _judge(fault, code, said, out)
    if wrong is None and after != before:
        wrong = "files were written outside the folder for results"
    if wrong is None and growth > LARGEST_GROWTH_MB:
        wrong = f"took {growth:.0f} MB"
    return Result(fault, code, said, seconds, growth, wrong)


def _run(command: list[str]) -> tuple[int, str]:
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(command)
    except Exception as error:
        return 1, f"crash: {type(error).__name__}: {error}"
    return code, out.getvalue() + err.getvalue()


def _judge(fault: Fault, code: int, said: str, out: Path) -> str | None:
    images = list(out.glob("*.nii*")) if out.exists() else []
    left = list(out.rglob(".*")) if out.exists() else []
    if "crash" in said or "unexpected" in said or code not in (0, 3, 4):
        return f"exit code {code}"
    if left:
        return "temporary files are left"
    if fault.used:
        return None if code == 0 and (images or fault.verb == "check") else "was not used"
    if code == 0 or images:
        return "was used"
    return None if said else "no reason given"


def _reason(out: Path) -> str:
    """The first reason in ``series_choices``, where the verb got that far."""
    for path in sorted((out / "shards").glob("*.json")) if out.exists() else []:
        for row in read_shard(path)["rows"]["series_choices"]:
            if row["reason"]:
                return str(row["reason"])
    return ""


def _plain(said: str) -> str:
    for pattern in (r"cannot be used: (.*)", r"error: (.*)"):
        if found := re.search(pattern, said):
            return re.sub(r"/\S*/", "", found[1]).strip()
    return "used" if "can be used" in said or "slices" in said else said.strip().split("\n")[-1][:120]


def _reset_peak() -> float:
    """Start counting peak memory anew (Linux), and give what is held now, MB."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak_mb()


def _peak_mb() -> float:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"VmHWM:\s+(\d+)", status)
    return int(found[1]) / 1024 if found else 0.0


def page(results: list[Result]) -> str:
    """Figures first, then one line a group, then every input."""
    bad = [one for one in results if one.wrong]
    lines = [
        "# Faults: malformed and hostile inputs", "", "```", "python benchmarks/fault_corpus.py", "```", "",
        "2 cores, AMD EPYC, no GPU; 2026-11-26.", "",
        f"- {len(results)} inputs, **{len(bad)} not handled as they must be**.",
        f"- Most memory over what the process held before: {max(one.growth_mb for one in results):.0f} MB; "
        f"most processor time for one: {max(one.seconds for one in results):.1f} s; in all "
        f"{sum(one.seconds for one in results):.0f} s.",
        "- Exit code 3: bad input; 4: partly done, reasons listed; 0: an oddity that does no harm.", "",
        "| group | n | not handled | most MB | most CPU s |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for group in dict.fromkeys(one.fault.group for one in results):
        members = [one for one in results if one.fault.group == group]
        lines.append(
            f"| {group} | {len(members)} | {sum(one.wrong is not None for one in members)} "
            f"| {max(one.growth_mb for one in members):.0f} | {max(one.seconds for one in members):.1f} |"
        )
    lines += ["", "| input | exit | what is said | not handled |", "|---|---|---|---|"]
    for one in results:
        name = f"{one.fault.group}: {one.fault.name}".replace("|", "/")
        said = one.said.replace("|", "/").replace("\n", " ")[:110]
        lines.append(f"| {name} | {one.exit_code} | {said} | {one.wrong or ''} |")
    return "\n".join(lines) + "\n"


def measure(folder: Path, only: str = "", log: Path | None = None) -> list[Result]:
    """Try every input whose group or name holds ``only``; results in ``log`` are taken from there."""
    os.environ[VARIABLE] = str(folder / "key")
    known = _logged(log)
    results = []
    for number, fault in enumerate(corpus()):
        name = f"{fault.group}: {fault.name}"
        if only not in name:
            continue
        if name in known:
            results.append(Result(fault, *known[name]))
            continue
        results.append(try_one(fault, folder / f"{number:03d}"))
        shutil.rmtree(folder / f"{number:03d}")
        if log is not None:
            with open(log, "a", encoding="utf-8") as handle:
                handle.write(json.dumps([name, *_facts(results[-1])]) + "\n")
    return results


def _facts(result: Result) -> tuple[object, ...]:
    return result.exit_code, result.said, result.seconds, result.growth_mb, result.wrong


def _logged(log: Path | None) -> dict[str, list[Any]]:
    if log is None or not log.is_file():
        return {}
    rows = (json.loads(line) for line in log.read_text(encoding="utf-8").splitlines())
    return {name: facts for name, *facts in rows}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Malformed and hostile inputs against check and convert.")
    parser.add_argument("--only", default="", help="inputs whose group or name holds this text")
    parser.add_argument("--log", type=Path, help="file that keeps results as they come")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks/fault_corpus.md"))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), asked.only, asked.log)
    text = page(results)
    print(text)
    if not asked.only:
        write_text_atomic(asked.out, text)
    sys.exit(1 if any(one.wrong for one in results) else 0)


if __name__ == "__main__":
    main()
