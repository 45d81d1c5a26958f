"""The slices of one series to one volume, and the proof that it lies where the headers say.

Slices keep their own pixels: the affine's third column is the step from slice to slice as the headers
give it, so a gantry's tilt is held as shear and nothing is interpolated within a slice. An even stack is
copied as it is; an uneven one is brought to an even grid along the normal by the rule in ``slabs``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from la_outcomes.errors import InputError
from la_outcomes.imaging.dicom_frames import Slice
from la_outcomes.imaging.dicom_pixels import stored_values
from la_outcomes.imaging.geometry import Affine, Array, Image
from la_outcomes.imaging.slabs import EvenGrid, even_grid, is_even

POSITION_TOLERANCE_MM = 0.1
SMALLEST_TILT_DEG = 0.1
_RAS_FROM_LPS = np.array([[-1.0], [-1.0], [1.0]])


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices sorted along their normal, and the grid they fill.

    ``centres`` (mm along the normal), ``step`` the vector (LPS mm) from one place to the place 1 mm
    further along the normal, ``grid`` None for an even stack.
    """

    slices: tuple[Slice, ...]
    centres: Affine
    step: Affine
    origin: Affine
    grid: EvenGrid | None

    @property
    def slice_spacing_mm(self) -> float:
        """Distance between the volume's slices along their normal."""
        if self.grid is not None:
            return self.grid.step_mm
        return float(self.centres[-1] - self.centres[0]) / (len(self.centres) - 1)

    @property
    def first_mm(self) -> float:
        """Centre of the volume's first slice along the normal."""
        return float(self.centres[0]) if self.grid is None else self.grid.first_mm

    @property
    def tilt_deg(self) -> float:
        """Angle between the way from slice to slice and the slices' normal, degrees, 0 or more."""
        return float(np.degrees(np.arctan(np.linalg.norm(self.step - self.slices[0].normal))))

    @property
    def owned_mm(self) -> Affine:
        """Millimetres each slice stands for."""
        if self.grid is None:
            return np.full(len(self.slices), self.slice_spacing_mm)
        return self.grid.owned_mm

    @property
    def description(self) -> str:
        """Spacing, evenness and tilt in a few words."""
        parts = [f"{len(self.slices)} slices"]
        if self.grid is None:
            parts.append(f"evenly {self.slice_spacing_mm:.3g} mm apart")
        else:
            count = len(self.grid.weights)
            parts.append(f"uneven, brought to {count} slices {self.slice_spacing_mm:.3g} mm apart")
        if self.tilt_deg > SMALLEST_TILT_DEG:
            parts.append(f"gantry tilted by {self.tilt_deg:.1f} degrees")
        return ", ".join(parts)

    def place(self, along_mm: float) -> Affine:
        """Where (LPS mm) the first pixel of a slice at this place along the normal lies."""
        return self.origin + self.step * along_mm

    @property
    def affine(self) -> Affine:
        """Index (column, row, slice) to RAS mm."""
        first = self.slices[0]
        affine = np.eye(4)
        columns = (
            first.along_row * first.column_step_mm,
            first.along_column * first.row_step_mm,
            self.step * self.slice_spacing_mm,
            self.place(self.first_mm),
        )
        affine[:3] = np.column_stack(columns) * _RAS_FROM_LPS
        return affine


def plan_stack(slices: Sequence[Slice]) -> Stack:
    """Sort slices and lay out their volume.

    Raises ``InputError`` where they are fewer than two, differ in size, spacing or direction, share a
    position, do not follow one line, or are uneven without a thickness or with slices missing.
    """
    if len(slices) < 2:
        raise InputError(f"a volume needs two slices at least, there is {len(slices)}")
    _check_alike(slices)
    ordered = sorted(slices, key=lambda s: float(s.position @ slices[0].normal))
    centres = np.array([float(s.position @ slices[0].normal) for s in ordered])
    shared = int((np.diff(centres) < 0.01).sum())
    if shared:
        raise InputError(
            f"{shared} images lie where another image lies (a time series, or two reconstructions)",
            hint="give one reconstruction a series",
        )
    step, origin = _line(ordered, centres)
    grid = None if is_even(centres) else even_grid(centres, _thicknesses(ordered))
    return Stack(tuple(ordered), centres, step, origin, grid)


def without_copies(slices: Sequence[Slice]) -> tuple[Slice, ...]:
    """The slices without those that repeat another one's place and pixels (sent twice under two names)."""
    places: dict[tuple[float, ...], list[Slice]] = {}
    for one in slices:
        place = (*np.round(one.position, 2), *np.round(one.normal, 3), one.n_rows, one.n_columns)
        kept = places.setdefault(place, [])
        if not any(np.array_equal(stored_values(one), stored_values(other)) for other in kept):
            kept.append(one)
    return tuple(one for kept in places.values() for one in kept)


def _check_alike(slices: Sequence[Slice]) -> None:
    first = slices[0]
    for other in slices[1:]:
        turned = max(
            np.abs(other.along_row - first.along_row).max(),
            np.abs(other.along_column - first.along_column).max(),
        )
        stretched = max(
            abs(other.row_step_mm - first.row_step_mm), abs(other.column_step_mm - first.column_step_mm)
        )
        size = (other.n_rows, other.n_columns) == (first.n_rows, first.n_columns)
        if turned * max(first.n_rows, first.n_columns) * first.row_step_mm > POSITION_TOLERANCE_MM:
            raise InputError("the images look in different directions")
        if not size or stretched * max(first.n_rows, first.n_columns) > POSITION_TOLERANCE_MM:
            raise InputError("the images differ in size or pixel spacing")


def _line(ordered: Sequence[Slice], centres: Affine) -> tuple[Affine, Affine]:
    """Step (LPS mm a mm along the normal) and origin of the line the first pixels follow."""
    positions = np.array([s.position for s in ordered])
    design = np.column_stack([centres, np.ones(len(centres))])
    (step, origin), *_ = np.linalg.lstsq(design, positions, rcond=None)
    off = float(np.linalg.norm(design @ np.vstack([step, origin]) - positions, axis=1).max())
    if off > POSITION_TOLERANCE_MM:
        raise InputError(f"the slices do not follow one line: one lies {off:.1f} mm beside it")
    return step, origin


def _thicknesses(ordered: Sequence[Slice]) -> Affine:
    known = [s.thickness_mm for s in ordered if s.thickness_mm is not None]
    if len(known) < len(ordered):
        raise InputError("the slices are unevenly spaced and some do not say how thick they are")
    return np.array(known)


def assemble(stack: Stack, pixels: Sequence[Array]) -> Image:
    """The volume of a stack, ``pixels`` in the order of its slices; axes (column, row, slice)."""
    volume = np.stack(pixels, axis=2)
    if stack.grid is not None:
        volume = volume @ stack.grid.weights.T.astype(np.float32)
    return Image(volume, stack.affine)


def landmark_error_mm(image: Image, stack: Stack) -> float:
    """Greatest distance (mm) between a corner pixel of a slice, by its header, and the volume's grid.

    Each slice's four corners are looked up in ``image`` (whatever its orientation), moved to the nearest
    voxel centre within the slice, and for an even stack across slices too, and measured in world space.
    Infinite where a corner lies outside the volume.
    """
    inverse = np.linalg.inv(image.affine)
    across = int(np.argmax(np.abs(inverse[:3, :3] @ (stack.step * _RAS_FROM_LPS[:, 0]))))
    worst = 0.0
    for one in stack.slices:
        corners = corner_points(one)
        index = inverse[:3, :3] @ corners + inverse[:3, 3:]
        nearest = np.rint(index)
        inside = (nearest >= 0) & (nearest <= np.array(image.shape)[:, None] - 1)
        if stack.grid is not None:
            nearest[across] = index[across]
            inside[across] = True
        if not inside.all():
            return float("inf")
        found = image.affine[:3, :3] @ nearest + image.affine[:3, 3:]
        worst = max(worst, float(np.linalg.norm(found - corners, axis=0).max()))
    return worst


def corner_points(one: Slice) -> Affine:
    """RAS mm of a slice's four corner pixels, (3, 4), straight from its header (PS3.3 C.7.6.2.1.1)."""
    columns, rows = np.array([(0, 0), (one.n_columns - 1, 0), (0, one.n_rows - 1), _last(one)]).T
    lps = (
        one.position[:, None]
        + np.outer(one.along_row * one.column_step_mm, columns)
        + np.outer(one.along_column * one.row_step_mm, rows)
    )
    return lps * _RAS_FROM_LPS


def _last(one: Slice) -> tuple[int, int]:
    return one.n_columns - 1, one.n_rows - 1


def value_error(image: Image, stack: Stack, pixels: Sequence[Array], seed: int = 0) -> float:
    """Greatest difference between values in ``image`` and in the slices, looked up by world position.

    From every slice that alone makes up a slice of the volume (in an even stack: all), 200 drawn pixels
    are found again through header geometry and the volume's affine. Infinite where one lies outside.
    """
    rng = np.random.default_rng(seed)
    inverse = np.linalg.inv(image.affine)
    worst = 0.0
    for index, along in _pure_slices(stack):
        one = stack.slices[index]
        at = rng.integers(0, [[one.n_columns], [one.n_rows]], (2, 200))
        lps = (
            stack.place(along)[:, None]
            + np.outer(one.along_row * one.column_step_mm, at[0])
            + np.outer(one.along_column * one.row_step_mm, at[1])
        )
        found = np.rint(inverse[:3, :3] @ (lps * _RAS_FROM_LPS) + inverse[:3, 3:]).astype(int)
        if (found < 0).any() or (found >= np.array(image.shape)[:, None]).any():
            return float("inf")
        difference = image.data[tuple(found)] - pixels[index][tuple(at)]
        worst = max(worst, float(np.abs(difference).max()))
    return worst


def _pure_slices(stack: Stack) -> list[tuple[int, float]]:
    """(slice, place along the normal) of the volume's slices that come from one slice alone."""
    if stack.grid is None:
        return [(index, float(centre)) for index, centre in enumerate(stack.centres)]
    found = np.argwhere(stack.grid.weights > 1 - 1e-9)
    return [(int(owner), stack.grid.first_mm + stack.grid.step_mm * int(k)) for k, owner in found]
