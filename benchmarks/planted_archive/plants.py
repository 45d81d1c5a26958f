"""What is planted: studies as lists of series, each with what must become of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from planted_archive.heads import Source, body, flair, head, plastic_head
from planted_archive.writer import FULL, Look, without


@dataclass(frozen=True)
class Plant:
    """A series: where it is cut from, how it is stored, and what must become of it.

    ``rule`` None: it must be chosen; else the rule that must leave it out, with ``reason`` in its reason.
    ``after`` is done to its written files.
    """

    name: str
    source: Callable[[int], Source]
    look: Look
    rule: str | None = None
    reason: str = ""
    after: str | None = None


@dataclass(frozen=True)
class StudyPlan:
    """The series of one examination; ``same_number`` gives its patient a number that others have too."""

    name: str
    plants: tuple[Plant, ...]
    identity: dict[str, str] = field(default_factory=dict)


def _ct(name: str, rule: str | None = None, reason: str = "", after: str | None = None, **look: Any) -> Plant:
    return Plant(name, head, replace(Look(), **look), rule, reason, after)


def _other(name: str, what: str, reason: str) -> Plant:
    return Plant(name, lambda _: body(what), Look(), "conversion", reason)


def _mr(name: str, rule: str | None = None, *, packing: str | None = None, **fields: Any) -> Plant:
    given = {"Modality": "MR", "EchoTime": 110, "InversionTime": 0, "SeriesDescription": name}
    look = Look(along_mm=FULL[6:], intercept=0, packing=packing, fields=given | fields, noise=6.0)
    return Plant(name, flair, look, rule)


SCOUT = _ct(
    "localiser", "image type", "localiser", along_mm=FULL[:2], coronal=True,
    fields={"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
)  # fmt: skip
BONE = _ct("bone kernel", "kernel", "bone", fields={"ConvolutionKernel": "H70h"})
BONE_GE = _ct("bone kernel, GE", "kernel", "bone", fields={"ConvolutionKernel": "BONEPLUS"})
LUNG = _ct("sharp kernel, Canon", "kernel", "bone", fields={"ConvolutionKernel": "FC81"})
AGENT = _ct("contrast agent named", "contrast", "contrast", fields={"ContrastBolusAgent": "IOHEXOL"})
WORDS = _ct("contrast by description", "contrast", fields={"SeriesDescription": "HEAD C+ 5.0"})
THIN = _ct(
    "thin slices beside 5 mm", "preference", "stands before",
    along_mm=tuple(np.arange(72) * 2.5 - 95), thickness_mm=2.5,
)  # fmt: skip
CORONAL = _ct(
    "coronal reformat", "plane", "off the axial", coronal=True,
    fields={"ImageType": ["DERIVED", "PRIMARY", "REFORMATTED"]},
)  # fmt: skip
CAPTURE = _ct(
    "secondary capture", "image type", "secondary", along_mm=FULL[:2],
    fields={"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "ConversionType": "WSD"},
)  # fmt: skip
TWO_STACKS = tuple(np.concatenate([np.arange(20) * 4.0 - 95, -15.5 + 1.5 + np.arange(14) * 7.0]))
TWO_THICKNESSES = (4.0,) * 20 + (7.0,) * 14
PLAIN = _ct("plain, unsigned")
TIME_SERIES = _ct("time series", "conversion", "another image lies", along_mm=(*FULL[:20], *FULL[:20]))


def plans() -> Iterator[StudyPlan]:
    """One round of studies; together about 100 series."""
    yield StudyPlan("routine", (PLAIN, SCOUT, BONE, AGENT, THIN, CORONAL))
    tilted = _ct("tilted, unsigned", tilt_deg=16.0)
    yield StudyPlan(
        "tilted", (tilted, SCOUT, BONE_GE, replace(WORDS, look=replace(WORDS.look, tilt_deg=16.0)))
    )
    yield StudyPlan(
        "signed", (_ct("tilted, signed", tilt_deg=-11.0, signed=True, intercept=0), LUNG, CAPTURE)
    )
    for how in ("RLE", "JPEG lossless", "JPEG 2000", "JPEG-LS", "deflated"):
        yield StudyPlan(how, (_ct(how, packing=how, tilt_deg=9.0), replace(SCOUT, name="localiser")))
    yield StudyPlan(
        "packed, signed",
        (_ct("JPEG lossless, signed", packing="JPEG lossless", signed=True, intercept=0), BONE),
    )
    soft = _ct("enhanced multi-frame", packing="enhanced", tilt_deg=14.0)
    bone = _ct("enhanced, bone", "kernel", packing="enhanced", fields={"ConvolutionKernel": "Hr64h"})
    yield StudyPlan("enhanced", (soft, bone, SCOUT))
    yield StudyPlan("uneven", (
        _ct("two stacks that overlap", along_mm=TWO_STACKS, thickness_mm=TWO_THICKNESSES, tilt_deg=18.0),
        SCOUT,
    ))  # fmt: skip
    dense = tuple(np.arange(72) * 2.5 - 95)
    yield StudyPlan("overlapping slices", (_ct("5 mm slices every 2.5 mm", along_mm=dense), BONE))
    gap = replace(without(Look(), 15), fields={"ImageComments": "gap"})
    yield StudyPlan("missing slice", (
        Plant("one slice missing", head, gap, "conversion", "slices are missing"),
        _ct("next best, 3 mm", along_mm=tuple(np.arange(60) * 3.0 - 95), thickness_mm=3.0),
    ))  # fmt: skip
    yield StudyPlan("missing vertex", (
        _ct("vertex missing", "conversion", "top of the brain", along_mm=FULL[:22]), SCOUT,
    ))  # fmt: skip
    yield StudyPlan("duplicates", (_ct("files twice", after="twice"), BONE))
    yield StudyPlan("sent again", (_ct("images twice under two names", after="again"), SCOUT))
    yield StudyPlan("stray scout", (_ct("localiser inside the series", after="stray"), BONE_GE))
    yield StudyPlan("cut short", (
        _ct("a file cut short", "conversion", "decoded", after="cut"), _ct("whole, 4 mm", **_four()),
    ))  # fmt: skip
    yield StudyPlan("cut copy", (_ct("a cut copy beside the whole file", after="cut copy"), SCOUT))
    yield StudyPlan("burnt in", (_ct("text burnt in", fields={"BurnedInAnnotation": "YES"}), CAPTURE))
    yield from _faulty_headers()
    yield from _other_things()
    yield from _mri()


def _four() -> dict[str, Any]:
    return {"along_mm": tuple(np.arange(45) * 4.0 - 95), "thickness_mm": 4.0}


def _faulty_headers() -> Iterator[StudyPlan]:
    yield StudyPlan("no places", (
        _ct("no position", "geometry", fields={"ImagePositionPatient": None}),
        _ct("spacing zero", "geometry", fields={"PixelSpacing": [0, 0]}),
        _ct("no rescale", "conversion", "Hounsfield", fields={"RescaleSlope": None}),
        _ct("wrong intercept", "conversion", "intercept is missing", fields={"RescaleIntercept": "0"}),
    ))  # fmt: skip
    yield StudyPlan("too little", (
        _ct("few slices", "coverage", "slices", along_mm=FULL[:6]),
        _ct("thin slab", "coverage", "mm are covered", along_mm=tuple(np.arange(20.0)), thickness_mm=1.0),
        _ct("thick slices", "thickness", along_mm=tuple(np.arange(15) * 12.0 - 95), thickness_mm=12.0),
    ))  # fmt: skip
    yield StudyPlan("time", (TIME_SERIES, PLAIN))
    yield StudyPlan(
        "mixed sizes", (_ct("two sizes in one series", "conversion", "size", after="size"), SCOUT)
    )
    for born in ("19400101", "19550505"):
        identity = {"PatientID": "SHARED", "PatientBirthDate": born}
        yield StudyPlan("shared number", (_ct("one number, two persons", "identity"),), identity)


def _other_things() -> Iterator[StudyPlan]:
    yield StudyPlan("chest", (_other("chest", "chest", "no head"), SCOUT))
    yield StudyPlan("knee", (_other("knee", "knee", "no head"), _other("water ball", "ball", "no head")))
    plastic = Plant("plastic head", lambda _: plastic_head(), Look(), "conversion", "plastic phantom")
    named = replace(
        plastic, rule="phantom", reason="phantom", look=Look(fields={"StudyDescription": "HEAD QA"})
    )
    yield StudyPlan("phantoms", (plastic, replace(named, name="phantom by name")))
    yield StudyPlan("other modalities", (
        _ct("PET", "modality", fields={"Modality": "PT"}),
        _ct("ultrasound", "modality", fields={"Modality": "US"}),
    ))  # fmt: skip


def _mri() -> Iterator[StudyPlan]:
    t2 = _mr("t2_tse_tra", "sequence")
    t1 = _mr("t1 se", "sequence", EchoTime=12)
    yield StudyPlan(
        "MRI", (_mr("t2_tirm_tra_dark-fluid", InversionTime=2500), t2, t1, _mr("DWI b1000", "sequence"))
    )
    by_timing = _mr("ax t2", InversionTime=2400)
    yield StudyPlan("MRI by timing", (by_timing, t1))
    yield StudyPlan("MRI, enhanced", (_mr("FLAIR 3D", packing="enhanced", InversionTime=2500), t2))
