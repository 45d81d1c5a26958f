"""Is the simulator like the real thing? The same figures from real and from simulated scans.

python benchmarks/realism.py CT --flair FLAIR ... --out DIR [--anatomies DIR] [--patients N]

CT: a head CT without contrast (NIfTI, as ``la-outcomes convert`` writes it). The simulated ones are taken
with its slice thickness and pixels. Prints a table and writes it with a picture of curves and
one of mixed slices. Patients, not scans, are compared by realism_population.py.
"""

# ruff: noqa: E402 - threads are limited, and this folder taken off the path, before anything is imported.
from __future__ import annotations

import os
import sys

# As a script's folder this one would hide the standard library's ``statistics`` behind statistics.py.
sys.path = [
    place for place in sys.path if os.path.realpath(place) != os.path.dirname(os.path.realpath(__file__))
]
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
    os.environ[_name] = "1"

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import fft, ndimage

from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import read_image
from la_outcomes.segmentation.brain import ct_brain, flair_brain
from la_outcomes.simulation.anatomy import list_anatomies, load_anatomy
from la_outcomes.simulation.pair import SimulatedPair, simulate_pair
from la_outcomes.simulation.parameters import simulator_version
from la_outcomes.simulation.patient import CtSettings, FlairSettings, PatientSpec

Figures = dict[str, float]
Curves = dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]
_PATCH = 32
_SMOOTHING_MM = 1.5


def ct_figures(image: Image) -> Figures:
    """HU of the smoothed brain, noise, its spectrum, and the sharpness of the skull's inner edge."""
    values = image.data.astype(np.float32)
    inside = ct_brain(image).intracranial
    pixel = float(image.spacing_mm[0])
    sigma = _SMOOTHING_MM / pixel
    smooth = ndimage.gaussian_filter(values, (sigma, sigma, 0))
    core = ndimage.binary_erosion(inside, np.ones((3, 3, 1)), iterations=max(1, round(6 / pixel / 2)))
    brain = smooth[core]
    figures = {f"brain HU, {q} %": float(np.percentile(brain, q)) for q in (5, 25, 50, 75, 95)}
    residual = values - smooth
    flat = core & (smooth > 20) & (smooth < 45)
    figures["noise SD, HU"] = float(1.4826 * np.median(np.abs(residual[flat])))
    figures |= noise_spectrum(residual, flat, pixel)
    bone = ndimage.binary_dilation(inside, np.ones((3, 3, 1)), iterations=max(2, round(6 / pixel)))
    gradient = np.hypot(*np.gradient(values, pixel, axis=(0, 1)))
    figures["skull edge, HU/mm (90 %)"] = float(np.percentile(gradient[bone & ~inside], 90))
    pairs = [(smooth[:, :, k], smooth[:, :, k + 1], core[:, :, k] & core[:, :, k + 1])
             for k in range(values.shape[2] - 1)]  # fmt: skip
    correlations = [np.corrcoef(a[both], b[both])[0, 1] for a, b, both in pairs if both.sum() > 5000]
    figures["correlation of neighbouring slices"] = float(np.median(correlations))
    return figures


def noise_power(
    residual: npt.NDArray[np.float32], flat: npt.NDArray[np.bool_], pixel: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Frequencies (1/mm) and noise power there, over patches inside flat brain."""
    power = np.zeros((_PATCH, _PATCH))
    window = np.hanning(_PATCH)[:, None] * np.hanning(_PATCH)[None, :]
    for k in range(residual.shape[2]):
        for i in range(0, residual.shape[0] - _PATCH, _PATCH // 2):
            for j in range(0, residual.shape[1] - _PATCH, _PATCH // 2):
                part = (slice(i, i + _PATCH), slice(j, j + _PATCH), k)
                if flat[part].mean() > 0.98:
                    power += np.abs(fft.fft2(residual[part] * window)) ** 2
    frequency = np.hypot(fft.fftfreq(_PATCH, pixel)[:, None], fft.fftfreq(_PATCH, pixel)[None, :])
    edges = np.arange(0, 0.5 / pixel, 1 / (_PATCH * pixel))
    radial = [power[(frequency >= low) & (frequency < low + edges[1])].mean() for low in edges]
    return edges + edges[1] / 2, np.array(radial)


def noise_spectrum(residual: npt.NDArray[np.float32], flat: npt.NDArray[np.bool_], pixel: float) -> Figures:
    """Frequency (1/mm) of the highest and of the mean noise power."""
    middle, radial = noise_power(residual, flat, pixel)
    return {
        "noise peak, 1/mm": float(middle[int(np.argmax(radial))]),
        "noise mean frequency, 1/mm": float(np.average(middle, weights=radial)),
    }


def ct_curves(image: Image) -> Curves:
    """HU of the smoothed brain deep inside and under the skull, noise power, edge and slice profiles."""
    values = image.data.astype(np.float32)
    inside = ct_brain(image).intracranial
    pixel = float(image.spacing_mm[0])
    sigma = _SMOOTHING_MM / pixel
    smooth = ndimage.gaussian_filter(values, (sigma, sigma, 0))
    depth = np.stack(
        [ndimage.distance_transform_edt(inside[:, :, k]) for k in range(inside.shape[2])], axis=2
    )
    depth *= pixel
    bins = np.arange(-5, 71, 1.5)
    curves = {}
    for name, zone in (("HU, 3-20 mm from the skull", (depth > 3) & (depth < 20)),
                       ("HU, more than 20 mm from it", depth > 20)):  # fmt: skip
        curves[name] = (bins[:-1], np.histogram(smooth[zone], bins=bins, density=True)[0])
    flat = (depth > 6) & (smooth > 20) & (smooth < 45)
    frequency, power = noise_power(values - smooth, flat, pixel)
    curves["noise power, by 1/mm"] = (frequency, power / power.sum())
    curves["skull edge, HU by mm"] = _edge_profile(values, inside, pixel)
    curves["correlation by mm between slices"] = _slice_profile(smooth, depth > 6, image)
    return curves


def _edge_profile(
    values: npt.NDArray[np.float32], inside: npt.NDArray[np.bool_], pixel: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Median HU by distance from the inner edge of the skull (mm, outwards positive), in the upper half."""
    distances, found = np.arange(-5, 4.01, 0.5), []
    upper = range(inside.shape[2] // 2, int(0.8 * inside.shape[2]))
    edt = ndimage.distance_transform_edt
    signed = [edt(~inside[:, :, k]) - edt(inside[:, :, k]) for k in upper]
    for at in distances:
        ring = [np.abs(one * pixel - at) < 0.5 for one in signed]
        found.append(
            np.median(np.concatenate([values[:, :, k][r] for k, r in zip(upper, ring, strict=True)]))
        )
    return distances, np.array(found)


def _slice_profile(
    smooth: npt.NDArray[np.float32], core: npt.NDArray[np.bool_], image: Image
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Median correlation of slices 1 to 5 steps apart, by their distance in mm."""
    step = image.voxel_volume_ml * 1000 / float(np.prod(image.spacing_mm[:2]))
    found = []
    for apart in range(1, 6):
        both = [core[:, :, k] & core[:, :, k + apart] for k in range(smooth.shape[2] - apart)]
        found.append(np.median([
            np.corrcoef(smooth[:, :, k][b], smooth[:, :, k + apart][b])[0, 1]
            for k, b in enumerate(both) if b.sum() > 5000
        ]))  # fmt: skip
    return step * np.arange(1, 6), np.array(found)


def flair_curve(image: Image) -> Curves:
    """Histogram of the brain's signal in multiples of its most frequent value."""
    brain, mode = _flair_brain(image)
    bins = np.linspace(0, 2.2, 56)
    return {"FLAIR / mode": (bins[:-1], np.histogram(brain / mode, bins=bins, density=True)[0])}


def flair_figures(image: Image) -> Figures:
    """Signal of the brain as a multiple of its most frequent value, and noise in air."""
    values = image.data.astype(np.float32)
    brain, mode = _flair_brain(image)
    figures = {f"FLAIR / mode, {q} %": float(np.percentile(brain, q)) / mode for q in (2, 25, 50, 75, 98)}
    air = values[: values.shape[0] // 12, : values.shape[1] // 12]
    figures["FLAIR air SD / mode"] = float(air.std()) / mode
    return figures


def _flair_brain(image: Image) -> tuple[npt.NDArray[np.float32], float]:
    values = image.data.astype(np.float32)
    brain = values[flair_brain(image).intracranial & (values > 0)]
    counts, edges = np.histogram(brain, bins=200, range=(float(np.percentile(brain, 20)), float(brain.max())))
    return brain, float(edges[int(np.argmax(ndimage.gaussian_filter1d(counts.astype(float), 3)))])


def simulate(
    ct: Image, thickness: float, lower: float | None, anatomies: Path | None, patients: int
) -> list[SimulatedPair]:
    """Pairs taken as the real CT was (``lower``: thickness of its lower slices), of patients with much LA."""
    names = list_anatomies(anatomies)
    chosen = [names[i * len(names) // patients % len(names)] for i in range(patients)]
    pixel = float(ct.spacing_mm[0])
    settings = CtSettings("GE", "STANDARD", 120.0, thickness, thickness, pixel, 15.0, lower)
    pairs = []
    for index, name in enumerate(chosen):
        patient = PatientSpec(
            f"realism-{index}", 72.0, 25.0, 17.0, 8.0, ct=settings, flair=FlairSettings(pixel_spacing_mm=0.9)
        )
        pairs.append(simulate_pair(load_anatomy(name, anatomies), patient, 1))
    return pairs


def table(real_ct: Image, real_flairs: Sequence[Image], pairs: Sequence[SimulatedPair]) -> pd.DataFrame:
    """One row a figure: the real scans, and the simulated ones' mean and range."""
    real = ct_figures(real_ct)
    flairs = pd.DataFrame([flair_figures(image) for image in real_flairs])
    real |= {name: float(flairs[name].mean()) for name in flairs}
    drawn = pd.DataFrame([{**ct_figures(pair.ct), **flair_figures(pair.flair)} for pair in pairs])
    rows = [
        {
            "figure": name,
            "real": real.get(name, np.nan),
            "simulated": float(drawn[name].mean()),
            "lowest": float(drawn[name].min()),
            "highest": float(drawn[name].max()),
        }
        for name in drawn
    ]
    return pd.DataFrame(rows)


def curves_picture(path: Path, real: Sequence[Curves], simulated: Sequence[Curves]) -> None:
    """One panel a curve: real ones black, simulated ones blue."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(name for curves in simulated for name in curves))
    figure, axes = plt.subplots(2, 3, figsize=(12, 7))
    for axis, name in zip(axes.ravel(), names, strict=True):
        for group, colour, label in ((simulated, "tab:blue", "simulated"), (real, "black", "real")):
            lines = [axis.plot(*c[name], color=colour, alpha=0.7, lw=1.3)[0] for c in group if name in c]
            lines[0].set_label(label)
        axis.set_title(name, fontsize=10)
    axes[0, 0].legend(frameon=False)
    figure.suptitle(f"Simulator {simulator_version()} and public scans", fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)


def head_alone(values: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """A slice without what lies around the head: a known headrest would tell at once."""
    parts, count = ndimage.label(ndimage.binary_opening(values > -300, iterations=2))
    if count == 0:
        return values
    head = ndimage.binary_fill_holes(parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:])))
    return np.where(ndimage.binary_dilation(head, iterations=4), values, values.min())


def mixed_picture(path: Path, real: Image, pairs: Sequence[SimulatedPair], *, seed: int = 1) -> str:
    """Twelve CT slices, a third of them real, in random order, nothing but heads; returns which are real."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rng = np.random.default_rng(seed)
    slices = [(real, f, True) for f in (0.55, 0.63, 0.72, 0.82)]
    slices += [(pairs[i % len(pairs)].ct, f, False) for i, f in enumerate(np.linspace(0.35, 0.8, 8))]
    order = rng.permutation(len(slices))
    figure, axes = plt.subplots(3, 4, figsize=(12, 9.4), facecolor="black")
    for axis, place in zip(axes.ravel(), order, strict=True):
        image, fraction, _ = slices[place]
        shown = head_alone(image.data[:, :, int(image.shape[2] * fraction)]).T
        axis.imshow(shown, cmap="gray", vmin=0, vmax=80, origin="lower", interpolation="bilinear")
        axis.axis("off")
    figure.text(0.995, 0.005, f"simulator {simulator_version()}", color="grey", fontsize=7, ha="right")
    figure.tight_layout(pad=0.3)
    figure.savefig(path, dpi=70)
    plt.close(figure)
    return ", ".join(str(i + 1) for i, place in enumerate(order) if slices[place][2])


def main() -> None:
    """Read the arguments, compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ct", type=Path)
    parser.add_argument("--flair", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--anatomies", type=Path)
    parser.add_argument(
        "--thickness", type=float, default=5.0, help="slice thickness the CT was taken with, mm"
    )
    parser.add_argument("--lower-thickness", type=float, help="the same of its lower slices, mm")
    parser.add_argument("--patients", type=int, default=4)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    ct = read_image(asked.ct)
    pairs = simulate(ct, asked.thickness, asked.lower_thickness, asked.anatomies, asked.patients)
    flairs = [read_image(path) for path in asked.flair]
    found = table(ct, flairs, pairs)
    found.to_csv(asked.out / "realism.csv", index=False)
    print(f"simulator {simulator_version()}, {len(pairs)} simulated pairs")
    print(found.to_string(index=False, float_format=lambda value: f"{value:.3g}"))
    curves_picture(
        asked.out / "realism.png",
        [ct_curves(ct), *map(flair_curve, flairs)],
        [ct_curves(pair.ct) | flair_curve(pair.flair) for pair in pairs],
    )
    places = mixed_picture(asked.out / "mixed_slices.png", ct, pairs)
    print(f"real slices in mixed_slices.png, counted along the rows: {places}")


if __name__ == "__main__":
    main()
