"""Fuzzing of what reads files from outside: NIfTI, DICOM headers and pixels, zips and DICOMDIRs.

python benchmarks/fuzz_readers.py TARGET [--seconds 600] [--corpus FOLDER]   (TARGET: nifti, dicom, archive)

With atheris (pip install atheris) inputs are chosen by which code they reach, from small valid files as
seeds. Whatever is not an ``LaOutcomesError`` is a finding: atheris stops and keeps the input. Without atheris
the seeds are changed at random for the same time, which reaches less; the last line says which it was.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import random
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

try:
    import atheris
except ImportError:
    atheris = None

if atheris is not None:
    with atheris.instrument_imports(include=["la_outcomes", "pydicom", "nibabel", "zipfile"]):
        from la_outcomes.errors import LaOutcomesError
        from la_outcomes.imaging.dicom_choice import judge
        from la_outcomes.imaging.dicom_files import open_archive
        from la_outcomes.imaging.dicom_pixels import read_pixels
        from la_outcomes.imaging.dicom_series import find_series, series_of
        from la_outcomes.imaging.dicom_stack import plan_stack, without_copies
        from la_outcomes.imaging.nifti import read_image
else:
    from la_outcomes.errors import LaOutcomesError
    from la_outcomes.imaging.dicom_choice import judge
    from la_outcomes.imaging.dicom_files import open_archive
    from la_outcomes.imaging.dicom_pixels import read_pixels
    from la_outcomes.imaging.dicom_series import find_series, series_of
    from la_outcomes.imaging.dicom_stack import plan_stack, without_copies
    from la_outcomes.imaging.nifti import read_image

import nibabel as nib
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)
FOLDER = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))


def nifti(data: bytes) -> None:
    """Read the bytes as a NIfTI file, plain or gzipped by the first byte."""
    path = FOLDER / ("x.nii.gz" if data[:1] == b"\x1f" else "x.nii")
    path.write_bytes(data)
    read_image(path)


def dicom(data: bytes) -> None:
    """Read the bytes as a DICOM file: header, rules, layout, pixels."""
    path = FOLDER / "x"
    path.write_bytes(data)
    for series in series_of([path], where="fuzzed").series:
        judge(series)
        for one in series.slices[:3]:
            try:
                read_pixels(one, series.modality)
            except LaOutcomesError:
                break
        plan_stack(without_copies(series.slices[:50]))


def archive(data: bytes) -> None:
    """Open the bytes as a zip or a DICOMDIR and look at what is in it."""
    path = FOLDER / "archive"
    path.write_bytes(data)
    with open_archive(path, FOLDER / "scratch") as opened:
        assert all(file.resolve().is_relative_to(FOLDER.resolve()) for file in opened.files)
    find_series(path)


TARGETS: dict[str, Callable[[bytes], None]] = {"nifti": nifti, "dicom": dicom, "archive": archive}


def slice_bytes(**fields: object) -> bytes:
    """A small CT slice."""
    one = Dataset()
    one.SOPClassUID, one.SOPInstanceUID, one.Modality = CTImageStorage, "1.2.3", "CT"
    one.StudyInstanceUID, one.SeriesInstanceUID, one.PatientID = "1.2", "1.2.1", "x"
    one.ImagePositionPatient, one.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    one.PixelSpacing, one.SliceThickness = [1, 1], 5
    one.Rows = one.Columns = 8
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 0
    one.RescaleSlope, one.RescaleIntercept = 1, -1024
    one.PixelData = bytes(128)
    for name, value in fields.items():
        setattr(one, name, value)
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    stream = io.BytesIO()
    one.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def seeds(target: str) -> list[bytes]:
    """Small valid inputs to start from."""
    if target == "nifti":
        image = nib.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.diag([1, 1, 5, 1.0]))
        image.set_sform(image.affine, 1)
        return [image.to_bytes()]
    plain = slice_bytes()
    if target == "dicom":
        import pydicom

        from la_outcomes.simulation.dicom_variants import compressed, enhanced

        one = pydicom.dcmread(io.BytesIO(plain))
        found = [plain]
        for variant in (enhanced([one]), compressed(one, "RLE"), compressed(one, "deflated"),
                        compressed(one, "JPEG 2000")):  # fmt: skip
            stream = io.BytesIO()
            variant.save_as(stream, enforce_file_format=True)
            found.append(stream.getvalue())
        return found
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a/b", plain)
    record = Dataset()
    record.ReferencedFileID, record.DirectoryRecordType = ["A", "B"], "IMAGE"
    return [stream.getvalue(), slice_bytes(DirectoryRecordSequence=[record])]


def guarded(target: str) -> Callable[[bytes], None]:
    """The target with the errors it may raise taken out: what is left is a finding."""

    def one_input(data: bytes) -> None:
        try:
            TARGETS[target](data)
        except LaOutcomesError:
            return

    return one_input


def at_random(target: str, seconds: float, seed: int = 0) -> int:
    """Without atheris: flip, cut, double and swap bytes of the seeds; returns how many inputs were tried."""
    rng, run_one, start, count = random.Random(seed), guarded(target), seeds(target), 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = bytearray(rng.choice(start))
        for _ in range(rng.randint(1, 12)):
            at = rng.randrange(max(len(data), 1))
            kind = rng.randrange(4)
            if kind == 0 and data:
                data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            elif kind == 1:
                del data[at : at + rng.randint(1, 40)]
            elif kind == 2:
                data[at:at] = data[at : at + rng.randint(1, 40)]
            else:
                data[at : at + 4] = rng.randbytes(4)
        run_one(bytes(data))
        count += 1
    return count


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Fuzz the readers of files from outside.")
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--corpus", type=Path, default=None)
    asked = parser.parse_args()
    os.environ["LA_OUTCOMES_MEMORY_GB"] = "2"
    if atheris is None:
        count = at_random(asked.target, asked.seconds)
        print(f"{asked.target}: {count} inputs changed at random, no finding; atheris is not installed")
        return
    corpus = asked.corpus or FOLDER / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(asked.target)):
        (corpus / f"seed{number}").write_bytes(seed)
    options = [f"-max_total_time={asked.seconds:.0f}", "-max_len=20000", "-timeout=60", "-rss_limit_mb=3000"]
    atheris.Setup([sys.argv[0], str(corpus), *options], guarded(asked.target))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
