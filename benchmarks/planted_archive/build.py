"""Lays the planted studies out as an archive does: nameless files in numbered folders, some zipped."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from planted_archive.plants import Plant, StudyPlan, plans
from planted_archive.writer import N_COLUMNS, Look, packed, save, slices_of

N_HEADS = 2
FILES_A_FOLDER = 400
STUDIES_ZIPPED = 5


@dataclass(frozen=True)
class Planted:
    """A series as it was written: what it is, in which study (number and name), from which head."""

    series_uid: str
    number: int
    study: str
    plant: Plant
    head: int


class Archive:
    """Writes files under running names, and remembers what was planted."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self.planted: list[Planted] = []
        self._n_files = 0

    def add_study(self, plan: StudyPlan, number: int) -> None:
        """Write one study of a new patient."""
        identity = {"PatientID": f"SIM{number:05d}", "PatientName": f"Simulated^{number}"}
        identity |= {"PatientBirthDate": "19450101", "StudyDate": f"2024{number % 12 + 1:02d}01"}
        identity |= {"StudyInstanceUID": self._uid("study", number)} | plan.identity
        if plan.identity:
            identity["PatientID"] += str(number // 100)
        for index, plant in enumerate(plan.plants):
            uids = {**identity, "SeriesInstanceUID": self._uid("series", number, index)}
            self._add_series(plant, uids, number % N_HEADS, 1000 * number + index)
            self.planted.append(
                Planted(uids["SeriesInstanceUID"], number, plan.name, plant, number % N_HEADS)
            )

    def _uid(self, *parts: object) -> str:
        return str(generate_uid(entropy_srcs=["planted archive", str(self.seed), *map(str, parts)]))

    def _add_series(self, plant: Plant, uids: dict[str, str], head: int, seed: int) -> None:
        look, source = plant.look, plant.source(head)
        slices = slices_of(source, look, uids, seed)
        if plant.after == "stray":
            scout = Look(
                along_mm=(0.0,), coronal=True, fields={"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
            )
            slices.insert(0, slices_of(source, scout, uids, seed)[0])
        if plant.after == "size":
            _crop(slices[7])
        paths = [save(one, self._next()) for one in packed(slices, look)]
        for path in list(_copies(plant.after, paths, slices)):
            path(self._next())

    def _next(self) -> Path:
        self._n_files += 1
        return self.folder / f"{self._n_files // FILES_A_FOLDER:03d}" / f"{self._n_files:06d}"


def _copies(after: str | None, paths: list[Path], slices: list[Dataset]) -> Iterator[object]:
    """What is written besides, or instead: functions that take the path to write to."""
    if after == "twice":
        yield from (lambda target, path=path: _copy(path, target) for path in paths)
    elif after == "again":
        for one in slices:
            again = replace_uid(one)
            yield lambda target, again=again: save(again, target)
    elif after == "cut copy":
        content = paths[5].read_bytes()
        yield lambda target: _write(target, content[: len(content) // 2])
    elif after == "cut":
        paths[5].write_bytes(paths[5].read_bytes()[:-6000])


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, target)


def _write(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def replace_uid(one: Dataset) -> Dataset:
    """The same image under another name."""
    again = deepcopy(one)
    again.SOPInstanceUID = generate_uid()
    return again


def _crop(one: Dataset) -> None:
    kept = np.frombuffer(one.PixelData, np.uint16).reshape(-1, N_COLUMNS)[:-10]
    one.Rows, one.PixelData = len(kept), kept.tobytes()


def build(folder: Path, n_series: int, seed: int = 1) -> list[Planted]:
    """Write at least ``n_series`` series, with other files among them; returns what was planted.

    Plans are taken in their order, again and again; heads and tilts change from study to study.
    """
    archive = Archive(folder, seed)
    for number, plan in enumerate(cycle(list(plans())), start=1):
        if len(archive.planted) >= n_series:
            break
        archive.add_study(_turned(plan, number), number)
    _add_other_files(folder)
    _zip_one_folder(folder)
    return archive.planted


def _turned(plan: StudyPlan, number: int) -> StudyPlan:
    """The same study with another gantry tilt, so that rounds are no copies of each other."""
    turn = (number * 7) % 5 - 2
    plants = tuple(
        replace(plant, look=replace(plant.look, tilt_deg=plant.look.tilt_deg + turn))
        if plant.look.tilt_deg
        else plant
        for plant in plan.plants
    )
    return replace(plan, plants=plants)


def _add_other_files(folder: Path) -> None:
    (folder / "000" / "README.TXT").write_text("Report: no haemorrhage.\n")
    (folder / "000" / "report.pdf").write_bytes(b"%PDF-1.4 not a scan")
    (folder / "Thumbs.db").write_bytes(bytes(512))
    (folder / "001").mkdir(exist_ok=True)
    (folder / "001" / "EMPTY").touch()


def _zip_one_folder(folder: Path) -> None:
    chosen = sorted(path for path in folder.iterdir() if path.is_dir())[-1]
    with zipfile.ZipFile(folder / "export.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(chosen.iterdir()):
            archive.write(path, path.name)
    shutil.rmtree(chosen)
