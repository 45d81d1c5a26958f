"""One simulated patient of a cohort: draws the head, writes its files and its result shard."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from la_outcomes.provenance import Run
from la_outcomes.shards import Rows, atomic_path, case_key, is_done, sha256_file, sha256_json, write_shard
from la_outcomes.simulation.anatomy import load_anatomy
from la_outcomes.simulation.fields import stream
from la_outcomes.simulation.infarcts import choose_mask
from la_outcomes.simulation.parameters import Parameters
from la_outcomes.simulation.patient import PatientSpec

if TYPE_CHECKING:
    from la_outcomes.imaging.geometry import Image
    from la_outcomes.simulation.pair import CtScan, DrawnPatient, FlairScan

KIND = "simulated_patient"


@dataclass(frozen=True)
class PatientCase:
    """One patient to simulate with images: all a worker needs.

    ``seed`` fixes every random number together with the patient's id. ``anatomies`` None means
    the embedded template. ``masks``: infarct masks the cohort may use; empty = modelled infarcts. ``rows``:
    the patient's rows of the clinical simulation, by registry table.
    """

    out_dir: Path
    patient: PatientSpec
    seed: int
    has_flair: bool
    anatomy: str
    anatomies: Path | None
    masks: tuple[Path, ...]
    rows: Rows
    parameters: Parameters
    run: Run

    @property
    def case_id(self) -> str:
        """Name of this piece of work in logs and shards."""
        return self.patient.patient_id

    @property
    def key(self) -> str:
        """Identity by content: what is drawn, from which head and masks, with which parameters."""
        inputs = {"anatomy": self.anatomy, "masks": sha256_json([path.name for path in self.masks])}
        asked = [asdict(self.patient), self.seed, self.has_flair, self.rows, self.parameters["image"]]
        return case_key(inputs, None, sha256_json([self.parameters["version"], asked]))

    @property
    def folder(self) -> Path:
        """Where the patient's files go, relative to the output folder."""
        return Path("images") / self.patient.patient_id


def simulate_patient(case: PatientCase) -> tuple[str, str | None]:
    """Simulate one patient: files into ``case.folder``, then the shard. Returns (status, reason)."""
    from la_outcomes.simulation.pair import draw_patient, take_ct, take_flair

    if is_done(case.out_dir, KIND, case.key):
        return "already_done", None
    image = case.parameters["image"]
    anatomy = load_anatomy(case.anatomy, case.anatomies)
    drawn = draw_patient(anatomy, _with_mask(case), case.seed, image)
    ct = take_ct(drawn, image)
    flair = take_flair(drawn, image) if case.has_flair else None
    _write_files(case, ct, flair)
    write_shard(
        case.out_dir, kind=KIND, case_id=case.case_id, key=case.key, status="done",
        rows=_final_rows(case, drawn, ct, flair),
    )  # fmt: skip
    return "done", None


def _with_mask(case: PatientCase) -> PatientSpec:
    """The patient with a real infarct mask chosen, where masks were given and there is an infarct."""
    if not case.masks or case.patient.infarct_volume_ml <= 0:
        return case.patient
    rng = stream(case.seed, case.patient.patient_id, "infarct mask")
    model = case.parameters["image"]["infarct"]
    mask = choose_mask(case.masks, case.patient.infarct_volume_ml, rng, model)
    return replace(case.patient, infarct_mask=str(mask))


def _write_files(case: PatientCase, ct: CtScan, flair: FlairScan | None) -> None:
    import SimpleITK as sitk

    from la_outcomes.imaging.nifti import write_image
    from la_outcomes.simulation.pair import ct_to_flair

    files: dict[str, Image] = {
        "ct": ct.image,
        "truth_visible_ct": ct.visible,
        "truth_tissue_ct": ct.tissue,
        "infarct_ct": ct.infarct,
    }
    if flair is not None:
        files |= {"flair": flair.image, "truth_wmh_flair": flair.wmh, "infarct_flair": flair.infarct}
    folder = case.out_dir / case.folder
    for name, image in files.items():
        write_image(folder / f"{name}.nii.gz", image)
    if flair is not None:
        with atomic_path(folder / "ct_to_flair.h5") as temporary:
            sitk.WriteTransform(ct_to_flair(ct, flair), str(temporary))


def _final_rows(case: PatientCase, drawn: DrawnPatient, ct: CtScan, flair: FlairScan | None) -> Rows:
    """The clinical rows with what the images came to be: hashes, spacing, the drawn volumes, the head."""
    rows = {table: [dict(row) for row in members] for table, members in case.rows.items()}
    for row in rows["scans"]:
        scan = ct if row["modality"] == "CT" else flair
        if scan is not None:
            path = case.folder / f"{str(row['modality']).lower()}.nii.gz"
            row["path"] = path.as_posix()
            row["sha256"] = sha256_file(case.out_dir / path)
            row["pixel_spacing_mm"] = round(float(scan.image.spacing_mm[0]), 4)
    rows["simulation_truth"][0] |= {
        "anatomy": case.anatomy,
        "tissue_volume_ml": drawn.lesions.wmh.tissue_volume_ml,
        "visible_la_volume_ml": drawn.lesions.wmh.visible_volume_ml,
        "infarct_volume_ml": drawn.lesions.infarct_volume_ml,
    }
    for table in ("simulation_truth", "clinical", "outcomes", "fazekas_ratings"):
        for row in rows[table]:
            row["run_id"] = case.run.run_id
    return {**rows, "runs": [case.run.row()]}
