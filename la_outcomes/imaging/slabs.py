"""Slices of unequal thickness or spacing to an even grid, each millimetre of tissue counted once.

Rule of apportionment, along the normal of the slices: a slice stands for the slab of its nominal
thickness around its centre. Each millimetre belongs to exactly one slice: the thinnest slice whose slab
covers it; between slices of one thickness, the one whose centre is nearer. A gap between two slabs of at
most half the thinner one's thickness is shared at its middle; a wider gap means that slices are missing,
and the stack is refused. Each slice of the even grid is the mean of the slices that own its millimetres,
weighted by the millimetres, so the sum over slices of value x mm is the same before and after, but for
what the ends of the grid, placed to the nearest half step, leave off or stretch.

The grid's step is the usual spacing of the thinnest slices, and its phase is theirs, so that they pass
through unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Affine

EVEN_TOLERANCE_MM = 0.1
LARGEST_GAP = 0.5
MOST_GRID_SLICES = 2000
_SAME_MM = 0.01


@dataclass(frozen=True)
class Piece:
    """A stretch along the normal (mm) and the index of the slice that owns it."""

    low: float
    high: float
    owner: int


@dataclass(frozen=True, eq=False)
class EvenGrid:
    """Slices of an even grid along the normal, and how they are mixed from the scan's.

    ``first_mm`` is the centre of the first, ``weights`` (grid slices, scan slices) has rows that sum to
    1, ``owned_mm`` is what each scan slice stands for, ``scanned_mm`` their sum.
    """

    first_mm: float
    step_mm: float
    weights: Affine
    owned_mm: Affine

    @property
    def scanned_mm(self) -> float:
        """Length of tissue the slices stand for."""
        return float(self.owned_mm.sum())


def is_even(centres: Affine) -> bool:
    """True where sorted centres (mm) lie within 0.1 mm of an even row."""
    row = np.linspace(centres[0], centres[-1], len(centres))
    return bool(np.abs(centres - row).max() <= EVEN_TOLERANCE_MM)


def even_grid(centres: Affine, thicknesses: Affine) -> EvenGrid:
    """An even grid for uneven slices, by the rule of this module.

    ``centres`` (n,) sorted and ``thicknesses`` (n,), mm along the normal. Raises ``InputError`` where
    slices are missing, or where the grid would have more than 2,000 slices.
    """
    pieces = apportion(centres, thicknesses)
    step, anchor = _step_and_anchor(centres, thicknesses)
    low, high = pieces[0].low, pieces[-1].high
    start = anchor - step / 2 - step * round((anchor - step / 2 - low) / step)
    count = max(round((high - start) / step), 1)
    if count > MOST_GRID_SLICES:
        raise InputError(f"the slices' places and thicknesses would make {count} slices: they must be wrong")
    edges = start + step * np.arange(count + 1)
    owned = np.zeros(len(centres))
    for piece in pieces:
        owned[piece.owner] += piece.high - piece.low
    return EvenGrid(start + step / 2, step, _weights(edges, pieces, len(centres)), owned)


def apportion(centres: Affine, thicknesses: Affine) -> list[Piece]:
    """Who owns which millimetres: adjoining pieces from the first slab's face to the last one's."""
    edges = _edges(centres, thicknesses)
    pieces: list[Piece] = []
    for low, high in pairwise(edges):
        owner = _owner((low + high) / 2, centres, thicknesses)
        if pieces and pieces[-1].owner == owner:
            pieces[-1] = Piece(pieces[-1].low, high, owner)
        else:
            pieces.append(Piece(low, high, owner))
    return pieces


def _edges(centres: Affine, thicknesses: Affine) -> list[float]:
    """All places where the owner can change."""
    low, high = centres - thicknesses / 2, centres + thicknesses / 2
    middles = [
        (first + second) / 2
        for thickness in np.unique(np.round(thicknesses, 2))
        for first, second in pairwise(centres[np.abs(thicknesses - thickness) <= _SAME_MM])
    ]
    below, above = np.maximum.accumulate(high)[:-1], np.minimum.accumulate(low[::-1])[::-1][1:]
    for index in np.flatnonzero(above - below > _SAME_MM):
        gap = float(above[index] - below[index])
        thinner = float(min(thicknesses[index], thicknesses[index + 1]))
        if gap > LARGEST_GAP * thinner + _SAME_MM:
            raise InputError(
                f"slices are missing: {gap:.1f} mm lie between slabs {index + 1} and {index + 2} "
                f"of {thinner:g} mm",
                hint="export the whole series again",
            )
        middles.append(float(above[index] + below[index]) / 2)
    everything = np.unique(np.concatenate([low, high, np.asarray(middles, dtype=np.float64)]))
    distinct = np.append(True, np.diff(everything) > 1e-6)
    return [float(edge) for edge in everything[distinct]]


def _owner(place: float, centres: Affine, thicknesses: Affine) -> int:
    """Index of the slice that owns a place: the covering ones first, else the nearest slab."""
    distance = np.abs(place - centres)
    beyond = np.maximum(distance - thicknesses / 2, 0)
    nearest = np.flatnonzero(beyond <= beyond.min() + 1e-6)
    return int(min(nearest, key=lambda index: (round(float(thicknesses[index]), 2), distance[index])))


def _step_and_anchor(centres: Affine, thicknesses: Affine) -> tuple[float, float]:
    """Usual distance between neighbours that are both of the least thickness, and one such centre."""
    thin = np.flatnonzero(thicknesses <= thicknesses.min() + _SAME_MM)
    neighbours = thin[:-1][np.diff(thin) == 1]
    if len(neighbours) == 0:
        return float(thicknesses.min()), float(centres[thin[0]])
    steps = centres[neighbours + 1] - centres[neighbours]
    step = float(np.median(steps))
    usual = neighbours[np.abs(steps - step) == np.abs(steps - step).min()]
    return step, float(centres[usual[0]])


def _weights(edges: Affine, pieces: list[Piece], n_slices: int) -> Affine:
    weights = np.zeros((len(edges) - 1, n_slices))
    for piece in pieces:
        overlap = np.minimum(edges[1:], piece.high) - np.maximum(edges[:-1], piece.low)
        weights[:, piece.owner] += np.maximum(overlap, 0)
    return weights / weights.sum(axis=1, keepdims=True)
