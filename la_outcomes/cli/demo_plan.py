"""What the demo does: how many patients of which cohort, and the steps from heads to report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from la_outcomes.errors import PartlyDoneError
from la_outcomes.shards import atomic_path

LA_MODEL, WMH_MODEL = "la-ct-sim", "wmh-flair-sim"
PACKAGED_RESULTS, PACKAGED_SCORES = f"results-{LA_MODEL}", f"scores-{LA_MODEL}"
_SHARES = {"training": 0.42, "internal_validation": 0.10, "external_test": 0.36, "us_test": 0.12}


@dataclass(frozen=True)
class DemoPlan:
    """Sizes and folders of one demo.

    ``with_images`` is patients a cohort; the clinical cohort of ``without_images`` patients takes its
    volumes from the simulator's declared measurement-error model. ``epochs`` are those of the smoke recipe,
    which on so few heads still gains after its own 20.
    """

    out: Path
    seed: int
    jobs: int
    with_images: dict[str, int]
    without_images: int
    preset: str
    epochs: int

    @property
    def registry(self) -> Path:
        """The demo's registry."""
        return self.out / "registry.duckdb"

    @property
    def page(self) -> Path:
        """The report."""
        return self.out / "reports" / "report.html"


def demo_plan(out: Path, *, patients: int | None, seed: int, tiny: bool, jobs: int) -> DemoPlan:
    """The demo's sizes: 28 patients with images and 867 without, or 10 and 300 where ``tiny``."""
    count = patients if patients is not None else (10 if tiny else 28)
    return DemoPlan(
        out=out,
        seed=seed,
        jobs=jobs,
        with_images=_shared_out(count),
        without_images=300 if tiny else 867,
        preset="small" if tiny else "routine",
        epochs=5 if tiny else 60,
    )


def _shared_out(patients: int) -> dict[str, int]:
    sizes = {cohort: max(1, int(patients * share)) for cohort, share in _SHARES.items()}
    sizes["external_test"] += patients - sum(sizes.values())
    return sizes


class Demo:
    """The steps of the demo, each of which can be run again."""

    def __init__(self, plan: DemoPlan) -> None:
        self.plan = plan

    def steps(self) -> Sequence[tuple[str, Callable[[], None]]]:
        """Title and function of each step, in their order."""
        heads, others = sum(self.plan.with_images.values()), self.plan.without_images
        return (
            (f"simulate {heads} patients with CT and FLAIR", self.simulate_images),
            (f"simulate {others} clinical patients without images", self.simulate_clinical),
            (f"find WMH on each FLAIR ({WMH_MODEL}), carry it to the coregistered CT", self.label),
            ("train a small 2D nnU-Net on CT and pseudo-labels", self.train),
            (f"segment every CT with that model, and with {LA_MODEL}", self.segment),
            ("score the masks against pseudo-labels and truth", self.evaluate),
            ("take all shards into the registry", self.ingest),
            ("run the analyses and write the report", self.report),
        )

    def simulate_images(self) -> None:
        """Heads with truth, as scans.csv and pairs.csv."""
        from la_outcomes.simulation.cohort import simulate_cohort

        plan = self.plan
        simulate_cohort(plan.out / "scans", plan.with_images, plan.seed, preset=plan.preset, jobs=plan.jobs)

    def simulate_clinical(self) -> None:
        """The clinical cohort; written once, since bulk shards are named by their bytes."""
        from la_outcomes.simulation.cohort import simulate_without_images

        if not list((self.plan.out / "clinical" / "shards").glob("*.parquet")):
            simulate_without_images(
                self.plan.out / "clinical", {"clinical": self.plan.without_images}, self.plan.seed
            )

    def label(self) -> None:
        """Pseudo-labels from the FLAIRs alone, by the packaged model; a failing pair stays without."""
        from la_outcomes.segmentation.labels.pseudo_labels import label_pairs
        from la_outcomes.segmentation.labels.sources import configure
        from la_outcomes.segmentation.packaged import bundle_path

        label_pairs(
            self.plan.out / "scans" / "pairs.csv",
            self.plan.out / "labels",
            source=configure("model", model=bundle_path(WMH_MODEL)),
            infarcts="mask",
            jobs=self.plan.jobs,
        )

    def train(self) -> None:
        """The smoke recipe on the accepted labels of the training cohorts."""
        from la_outcomes.segmentation.training.recipes import recipe
        from la_outcomes.segmentation.training.run import TrainingJob, train

        chosen = recipe(smoke=True, epochs=self.plan.epochs)
        train(
            TrainingJob(
                self.plan.out / "labels",
                self.plan.out / "model",
                chosen,
                seed=self.plan.seed,
                jobs=self.plan.jobs,
            )
        )

    def segment(self) -> None:
        """Every CT with the demo's own model, and with the one that comes with the package."""
        from la_outcomes.segmentation.inference import segment_scans
        from la_outcomes.segmentation.packaged import bundle_path

        plan = self.plan
        for model, out in ((plan.out / "model", "results"), (bundle_path(LA_MODEL), PACKAGED_RESULTS)):
            segment_scans(plan.out / "scans" / "scans.csv", model, plan.out / out, jobs=plan.jobs)

    def evaluate(self) -> None:
        """Against the pseudo-labels, and against what the simulation drew visible on CT."""
        from la_outcomes.segmentation.evaluation import evaluate

        plan = self.plan
        truth = _truth_masks(plan.out / "scans" / "scans.csv", plan.out / "scores" / "truth.csv")
        labels = plan.out / "labels" / "labels"
        for results, kind, name, reference in (
            ("results", "label", "pseudo-label", labels),
            ("results", "truth", "visible_la", truth),
            (PACKAGED_RESULTS, "truth", "visible_la", truth),
        ):
            scores = plan.out / ("scores" if results == "results" else PACKAGED_SCORES)
            evaluate(plan.out / results, reference, scores, reference=kind, name=name, jobs=plan.jobs)

    def ingest(self) -> None:
        """All shards written so far; the demo's own model comes first, and so is the active one."""
        from la_outcomes.registry.ingest import ingest

        own = ("scans", "clinical", "labels", "results", "scores")
        for names in (own, (PACKAGED_RESULTS, PACKAGED_SCORES)):
            ingest([self.plan.out / name for name in names], self.plan.registry)

    def report(self) -> None:
        """All scripts; what so few patients cannot answer is named in the report and here."""
        from la_outcomes.analysis.study import Request
        from la_outcomes.registry.ingest import ingest
        from la_outcomes.reporting.report import make_report

        try:
            make_report(Request(self.plan.registry, self.plan.out, seed=self.plan.seed), jobs=self.plan.jobs)
        except PartlyDoneError as unanswered:
            print(unanswered.what)
        ingest([self.plan.out / "reports"], self.plan.registry)


def _truth_masks(scans_csv: Path, path: Path) -> Path:
    """Table of the simulated truth of each CT, as ``evaluate`` takes it."""
    scans = pd.read_csv(scans_csv, dtype=str)
    scans = scans[scans["modality"] == "CT"]
    masks = [
        (scans_csv.parent / str(ct)).resolve().with_name("truth_visible_ct.nii.gz") for ct in scans["path"]
    ]
    with atomic_path(path) as temporary:
        pd.DataFrame({"scan_id": scans["scan_id"], "path": masks}).to_csv(temporary, index=False)
    return path
