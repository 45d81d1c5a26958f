"""How quickly the review page opens cases and lists, in headless Chromium on this machine.

python benchmarks/review.py [--cases 6] [--patients 5000] [--slices 40]

A study is made in a temporary folder: CTs of 512 x 512 voxels, masks, FLAIRs and transforms with a
deformation for the first cases, rows alone for the other patients. "Case" is the time from
the key that opens it to the first slice with its outlines painted; "FLAIR" to the last slice of the FLAIR in
CT space. A case is "next" where the page had read it ahead while the case before was looked at, "cold" where
it is the first of a server that has just started. Processor time is that of server and browser together: on
an idle machine the wall time is about that, on a busy one it is longer.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import SimpleITK as sitk
from playwright.sync_api import Page, sync_playwright

from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import write_image
from la_outcomes.provenance import Run
from la_outcomes.registry.ingest import ingest
from la_outcomes.shards import Rows, sha256_file, sha256_json, write_shard

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
MODEL = "a" * 64
RUN = Run("benchmark", {})
Times = dict[str, list[tuple[float, float]]]


def make_images(folder: Path, number: int, slices: int) -> None:
    """A noisy ellipsoid as CT and FLAIR with masks and a deformation between them."""
    rng = np.random.default_rng(number)
    affine = np.diag([0.45, 0.45, 150.0 / slices, 1.0])
    affine[:3, 3] = (-115, -115, -75)
    i, j, k = np.indices((512, 512, slices), dtype=np.float32)
    radius = ((i - 256) / 160) ** 2 + ((j - 256) / 190) ** 2 + ((k / slices - 0.5) / 0.5) ** 2
    ct = np.where(radius < 1.2, np.where(radius < 1, 30, 900), -1000) + rng.normal(0, 4, radius.shape)
    mask = (((i - 220) / 30) ** 2 + ((j - 250) / 50) ** 2 + ((k / slices - 0.6) / 0.1) ** 2) < 1
    name = f"p{number:05d}"
    write_image(folder / f"scans/{name}-ct.nii.gz", Image(ct, affine), dtype=np.int16)
    small = np.diag([0.9, 0.9, 5.0, 1.0])
    small[:3, 3] = (-115, -115, -75)
    flair = np.abs(rng.normal(200, 20, (256, 256, 30)))
    write_image(folder / f"scans/{name}-flair.nii.gz", Image(flair, small), dtype=np.int16)
    for kind, shift in (("labels", 0), ("results", 3)):
        path = folder / kind / f"masks/{name}.nii.gz"
        write_image(path, Image(np.roll(mask, shift, 0).astype(np.uint8), affine))
    field = sitk.GetImageFromArray(rng.normal(0, 0.5, (60, 92, 92, 3)), isVector=True)
    field.SetSpacing((2.5, 2.5, 2.5))
    field.SetOrigin((-115, -115, -75))
    parts = [
        sitk.Euler3DTransform((0, 0, 0), 0.05, 0.02, 0.03, (1, 2, 3)),
        sitk.DisplacementFieldTransform(field),
    ]
    (folder / "labels/transforms").mkdir(parents=True, exist_ok=True)
    sitk.WriteTransform(sitk.CompositeTransform(parts), str(folder / f"labels/transforms/{name}.h5"))


def make_study(folder: Path, cases: int, patients: int, slices: int) -> Path:
    """The registry of a study whose first ``cases`` patients have images; they are the worst."""
    rng = np.random.default_rng(1)
    rows: dict[str, Rows] = {
        "labels": {"runs": [RUN.row()], "patients": [], "scans": [], "pairs": [], "pseudo_labels": []},
        "results": {"runs": [RUN.row()], "la_measurements": []},
    }
    rows["results"]["models"] = [{"model_sha256": MODEL, "name": "net", "kind": "segmentation"}]
    for number in range(patients):
        if number < cases:
            make_images(folder, number, slices)
        add_rows(rows, folder, number, rng, has_images=number < cases)
    for kind, entries in rows.items():
        key = sha256_json(kind)
        write_shard(folder / kind, kind=kind, case_id="all", key=key, status="done", rows=entries)
    registry = folder / "study.duckdb"
    report = ingest([folder / "labels", folder / "results"], registry)
    assert not report.faults, report.faults
    return registry


def add_rows(
    rows: dict[str, Rows], folder: Path, number: int, rng: np.random.Generator, *, has_images: bool
) -> None:
    """Rows of one patient."""
    name = f"p{number:05d}"
    labels, results = rows["labels"], rows["results"]
    labels["patients"].append({"patient_id": name, "cohort": ("training", "clinical")[number % 2]})
    for modality in ("ct", "flair"):
        path = folder / f"scans/{name}-{modality}.nii.gz"
        scan = {"scan_id": f"{name}-{modality}", "patient_id": name, "modality": modality.upper()}
        labels["scans"].append(scan | {"path": str(path), "manufacturer": ("GE", "Siemens")[number % 2]})
    keys = {"ct_scan_id": f"{name}-ct", "flair_scan_id": f"{name}-flair"}
    labels["pairs"].append(keys)
    mask = f"masks/{name}.nii.gz"
    digests = {kind: sha256_file(folder / kind / mask) if has_images else "0" * 64 for kind in rows}
    labels["pseudo_labels"].append(
        {**keys, "parameters_sha256": RUN.parameters_sha256, "label_volume_ml": 5.0, "status": "accepted",
         "csf_correlation": 0.1 if has_images else float(rng.uniform(0.3, 0.9)), "label_path": mask,
         "label_sha256": digests["labels"], "transform_path": f"transforms/{name}.h5"}
    )  # fmt: skip
    results["la_measurements"].append(
        {"scan_id": f"{name}-ct", "model_sha256": MODEL, "parameters_sha256": RUN.parameters_sha256,
         "la_volume_ml": 200.0 if has_images else float(rng.gamma(1.2, 10)), "mask_path": mask,
         "mask_sha256": digests["results"]}
    )  # fmt: skip


class Watch:
    """Wall time and processor time of the server, the browser and their helpers since it was made, in ms."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), processor_seconds()

    def read(self) -> tuple[float, float]:
        """Both, so far."""
        return (time.perf_counter() - self.wall) * 1000, (processor_seconds() - self.cpu) * 1000


def processor_seconds() -> float:
    """Processor time of all processes that this one started, and of those they started."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def measure(page: Page, address: str, cases: int) -> Times:
    """Waits of each kind at one server."""
    root = address.partition("/enter")[0]
    enter(page, address, "reader")
    found: Times = {name: [] for name in ("list, a page", "case, next", "FLAIR, next", "decision kept")}
    for number in range(1, 21):
        watch = Watch()
        page.goto(f"{root}/?kind=la_measurement&page={number}")
        found["list, a page"].append(watch.read())
    page.goto(f"{root}/")
    page.keyboard.press("Enter")
    for number in range(cases):
        page.wait_for_selector("body[data-warmed]", state="attached", timeout=120_000)
        before, watch = page.url, Watch()
        with page.expect_response("**/decisions*"):
            page.keyboard.press("a")
        found["decision kept"].append(watch.read())
        if number + 1 < cases:
            watch = Watch()
            page.wait_for_url(lambda url, before=before: url != before)
            page.wait_for_selector("body[data-opened]", state="attached", timeout=120_000)
            found["case, next"].append(watch.read())
            page.wait_for_selector("body[data-loaded]", state="attached", timeout=120_000)
            found["FLAIR, next"].append(watch.read())
    return found


def enter(page: Page, address: str, name: str) -> None:
    """Say who one is."""
    page.goto(address)
    page.wait_for_selector("form input:focus")
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    page.wait_for_selector("body[data-ready]")


def cold_openings(registry: Path, times: int, browser: Any) -> Times:
    """The first case of a server that has just started, again and again."""
    found: Times = {"case, cold": [], "FLAIR, cold": []}
    for number in range(times):
        with serving(registry) as address:
            page = new_page(browser)
            enter(page, address, f"cold{number}")
            watch = Watch()
            page.keyboard.press("Enter")
            page.wait_for_selector("body[data-opened]", state="attached", timeout=120_000)
            found["case, cold"].append(watch.read())
            page.wait_for_selector("body[data-loaded]", state="attached", timeout=120_000)
            found["FLAIR, cold"].append(watch.read())
            page.context.close()
    return found


class serving:
    """The page as a process, ended when the block ends; gives its address."""

    def __init__(self, registry: Path) -> None:
        call = [sys.executable, "-c", "from la_outcomes.cli.main import main; main()"]
        self.command = [*call, "review", "--registry", str(registry), "--port", "0"]

    def __enter__(self) -> str:
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        return self.process.stdout.readline().removeprefix("review page: ").strip()

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def new_page(browser: Any) -> Page:
    """A window of 1920 x 1080."""
    page: Page = browser.new_context(viewport={"width": 1920, "height": 1080}).new_page()
    return page


def main() -> None:
    """Make the study, measure, print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=6, help="patients with images")
    parser.add_argument("--patients", type=int, default=5000)
    parser.add_argument("--slices", type=int, default=40)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        registry = make_study(Path(folder), asked.cases, asked.patients, asked.slices)
        browser = driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        with serving(registry) as address:
            found = measure(new_page(browser), address, asked.cases)
        found |= cold_openings(registry, asked.cases, browser)
        browser.close()
    print(f"{asked.patients} patients, CT 512 x 512 x {asked.slices}, {asked.cases} cases with images\n")
    print("| what | n | CPU, ms: median | most | wall, ms: median | most |\n|---|---|---|---|---|---|")
    for name, pairs in found.items():
        wall, cpu = zip(*pairs, strict=True)
        parts = [f"{round(value)}" for values in (cpu, wall) for value in (np.median(values), max(values))]
        print(f"| {name} | {len(pairs)} | {' | '.join(parts)} |")
    print(f"\nload of the machine (processes that want a core): {psutil.getloadavg()[0]:.0f}")


if __name__ == "__main__":
    main()
