"""One simulated patient of a cohort: draws the head, writes its files and its result shard."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from la_outcomes.execution import start_work
from la_outcomes.provenance import Run
from la_outcomes.shards import Rows, atomic_path, case_key, is_done, sha256_file, sha256_json, write_shard
from la_outcomes.simulation.anatomy import load_anatomy
from la_outcomes.simulation.clinical_tables import REPEAT_SUFFIX
from la_outcomes.simulation.fields import stream
from la_outcomes.simulation.infarcts import choose_mask
from la_outcomes.simulation.outputs import Outputs
from la_outcomes.simulation.parameters import Parameters
from la_outcomes.simulation.patient import PatientSpec

if TYPE_CHECKING:
    from la_outcomes.imaging.geometry import Image
    from la_outcomes.simulation.pair import CtScan, DrawnPatient, FlairScan

KIND = "simulated_patient"


@dataclass(frozen=True, eq=False)
class Scans:
    """The scans of one patient."""

    ct: CtScan
    ct_repeat: CtScan | None
    flair: FlairScan | None

    def images(self) -> dict[str, Image]:
        """Image of each scan there is, by its name."""
        scans = {"ct": self.ct, "ct_repeat": self.ct_repeat, "flair": self.flair}
        return {name: scan.image for name, scan in scans.items() if scan is not None}


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
    outputs: Outputs = field(default_factory=Outputs)

    @property
    def case_id(self) -> str:
        """Name of this piece of work in logs and shards."""
        return self.patient.patient_id

    @property
    def key(self) -> str:
        """Identity by content: what is drawn, from which head and masks, with which parameters."""
        inputs = {"anatomy": self.anatomy, "masks": sha256_json([path.name for path in self.masks])}
        asked = [asdict(self.patient), self.seed, self.has_flair, self.rows, self.parameters["image"],
                 asdict(self.outputs)]  # fmt: skip
        return case_key(inputs, None, sha256_json([self.parameters["version"], asked]))

    @property
    def has_repeat(self) -> bool:
        """True where a second CT of the same head is asked for."""
        return any(str(row["scan_id"]).endswith(REPEAT_SUFFIX) for row in self.rows["scans"])

    def path(self, name: str) -> Path:
        """Where one of the patient's files goes, relative to the output folder."""
        return self.outputs.path(self.patient.patient_id, name)


def simulate_patient(case: PatientCase) -> tuple[str, str | None]:
    """Simulate one patient: files by ``case.outputs``, then the shard. Returns (status, reason)."""
    from la_outcomes.simulation.pair import draw_patient, take_ct, take_flair

    if is_done(case.out_dir, KIND, case.key):
        return "already_done", None
    start_work()
    image = case.parameters["image"]
    anatomy = load_anatomy(case.anatomy, case.anatomies)
    drawn = draw_patient(anatomy, _with_mask(case), case.seed, image)
    scans = Scans(
        take_ct(drawn, image),
        take_ct(drawn, image, repeat=1) if case.has_repeat else None,
        take_flair(drawn, image) if case.has_flair else None,
    )
    _write_files(case, scans)
    if case.outputs.dicom:
        _write_dicom(case, scans)
    write_shard(
        case.out_dir, kind=KIND, case_id=case.case_id, key=case.key, status="done",
        rows=_final_rows(case, drawn, scans),
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


def _write_files(case: PatientCase, scans: Scans) -> None:
    import SimpleITK as sitk

    from la_outcomes.imaging.nifti import write_image
    from la_outcomes.simulation.pair import ct_to_flair

    ct, flair = scans.ct, scans.flair
    files = {"truth_visible_ct": ct.visible, "truth_tissue_ct": ct.tissue, "infarct_ct": ct.infarct}
    if flair is not None:
        files |= {"truth_wmh_flair": flair.wmh, "infarct_flair": flair.infarct}
        with atomic_path(case.out_dir / case.path("ct_to_flair")) as temporary:
            sitk.WriteTransform(ct_to_flair(ct, flair), str(temporary))
    for name, image in {**scans.images(), **files}.items():
        write_image(case.out_dir / case.path(name), image)


def _write_dicom(case: PatientCase, scans: Scans) -> None:
    from la_outcomes.simulation.dicom_output import write_ct_series, write_flair_series

    cts = {"ct": scans.ct, "ct_repeat": scans.ct_repeat}
    for row in case.rows["scans"]:
        scan_id = str(row["scan_id"])
        name = scan_name(scan_id, str(row["modality"]))
        folder = case.out_dir / case.outputs.dicom_folder(case.patient.patient_id, name)
        ct = cts.get(name)
        if ct is not None:
            write_ct_series(folder, scan_id, ct.stacks, case.patient.ct)
        elif scans.flair is not None:
            maker = str(row["manufacturer"])
            write_flair_series(folder, scan_id, scans.flair.image, case.patient.flair, maker)


def scan_name(scan_id: str, modality: str) -> str:
    """Which of a patient's scans a row is: "ct", "ct_repeat" or "flair"."""
    return "ct_repeat" if scan_id.endswith(REPEAT_SUFFIX) else modality.lower()


def _final_rows(case: PatientCase, drawn: DrawnPatient, scans: Scans) -> Rows:
    """The clinical rows with what the images came to be: hashes, spacing, the drawn volumes, the head."""
    from la_outcomes.simulation.stacks import slice_spacing

    rows = {table: [dict(row) for row in members] for table, members in case.rows.items()}
    images = scans.images()
    for row in rows["scans"]:
        name = scan_name(str(row["scan_id"]), str(row["modality"]))
        if name in images:
            image, path = images[name], case.path(name)
            row["path"] = path.as_posix()
            row["sha256"] = sha256_file(case.out_dir / path)
            row["pixel_spacing_mm"] = round(float(image.spacing_mm[0]), 4)
            row["slice_spacing_mm"] = round(slice_spacing(image.affine), 4)
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
