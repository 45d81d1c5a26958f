"""Many refits of one cumulative logit model with other frequencies at once: for the bootstrap.

The derivatives are those of `la_outcomes.analysis.ordinal_newton` with a leading axis over refits. Each refit
starts at the fit to the data as they are, where whole Newton steps nearly always converge; what does not
converge, or has lost information on the way, is left to the careful fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from la_outcomes.analysis.results import FloatArray

_MAX_ITERATIONS = 10
_DECREMENT = 1e-12
# Far above the 1e-5 at which a fit counts as separated, so that doubtful refits get the exact check.
_ENOUGH_INFORMATION = 1e-2


@dataclass(frozen=True)
class RefitProblem:
    """What all refits share: rows sorted by level with columns scaled, and products of pairs of columns."""

    order: NDArray[np.intp]
    codes: NDArray[np.integer]
    starts: NDArray[np.int64]
    z: FloatArray
    products: FloatArray
    pairs: tuple[NDArray[np.intp], NDArray[np.intp]]
    start: FloatArray
    back: FloatArray

    @classmethod
    def of(cls, x: FloatArray, codes: NDArray[np.integer], parameters: FloatArray) -> RefitProblem:
        """Prepare n by p columns, levels 0..K-1 and the parameters of the fit (thresholds first)."""
        k, p = int(codes.max()), x.shape[1]
        order = np.argsort(codes, kind="stable")
        means, scales = x.mean(axis=0), x.std(axis=0)
        z = (x[order] - means) / scales
        back = np.eye(k + p)
        back[:k, k:] = means / scales
        back[np.arange(k, k + p), np.arange(k, k + p)] = 1 / scales
        pairs = np.triu_indices(p)
        starts = np.concatenate([[0], np.cumsum(np.bincount(codes))])
        start = np.asarray(np.linalg.solve(back, parameters))
        return cls(order, codes[order], starts, z, z[:, pairs[0]] * z[:, pairs[1]], pairs, start, back)

    @property
    def n_thresholds(self) -> int:
        return len(self.starts) - 2


def refit_many(problem: RefitProblem, frequencies: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return the parameters (refits by thresholds and coefficients, in own units) and which refits converged.

    ``frequencies`` is refits by rows, in the rows' first order. Rows of parameters that did not converge mean
    nothing.
    """
    weights = frequencies[:, problem.order].astype(float)
    parameters = np.tile(problem.start, (len(weights), 1))
    solved = np.zeros(len(weights), dtype=bool)
    active = np.flatnonzero(np.add.reduceat(weights, problem.starts[:-1], axis=1).all(axis=1))
    floor = _information_floor(problem)
    for _ in range(_MAX_ITERATIONS):
        if not len(active):
            break
        gradient, information = _derivatives(problem, parameters[active], weights[active])
        try:
            steps = np.linalg.solve(information, gradient[:, :, None])[:, :, 0]
        except np.linalg.LinAlgError:
            break
        parameters[active] += steps
        decrement = np.einsum("bj,bj->b", gradient, steps)
        ordered = (np.diff(parameters[active, : problem.n_thresholds], axis=1) > 0).all(axis=1)
        sound = ordered & np.isfinite(steps).all(axis=1)
        done = sound & (decrement < _DECREMENT)
        solved[active[done]] = _informed(information[done], floor)
        active = active[sound & ~done]
    return parameters @ problem.back.T, solved


def _derivatives(
    problem: RefitProblem, parameters: FloatArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return gradient (refits by parameters) and observed information (refits by parameters squared)."""
    k, starts = problem.n_thresholds, problem.starts[:-1]
    eta = parameters[:, k:] @ problem.z.T
    edge = np.full((len(parameters), 1), np.inf)
    padded = np.hstack([-edge, parameters[:, :k], edge])
    with np.errstate(over="ignore"):
        above = 1 / (1 + np.exp(padded[:, problem.codes + 1] - eta))
        below = 1 / (1 + np.exp(eta - padded[:, problem.codes]))
    up, down = weights * above, weights * below
    counts = np.add.reduceat(weights, starts, axis=1)[:, 1:-1]
    gaps = np.diff(parameters[:, :k], axis=1)
    push, stiff = counts / np.expm1(gaps), counts / (2 * np.sinh(gaps / 2)) ** 2
    gradient = np.empty_like(parameters)
    gradient[:, :k] = (
        np.add.reduceat(up, starts, axis=1)[:, :-1] - np.add.reduceat(down, starts, axis=1)[:, 1:]
    )
    gradient[:, 1:k] += push
    gradient[:, : k - 1] -= push
    gradient[:, k:] = (down - up) @ problem.z
    return gradient, _information(problem, up * (1 - above), down * (1 - below), stiff)


def _information(
    problem: RefitProblem, at_upper: FloatArray, at_lower: FloatArray, stiff: FloatArray
) -> FloatArray:
    k, starts = problem.n_thresholds, problem.starts
    size = k + problem.z.shape[1]
    information = np.zeros((len(stiff), size, size))
    inner = np.arange(k - 1)
    information[:, np.arange(k), np.arange(k)] = (
        np.add.reduceat(at_upper, starts[:-1], axis=1)[:, :-1]
        + np.add.reduceat(at_lower, starts[:-1], axis=1)[:, 1:]
    )
    information[:, inner, inner] += stiff
    information[:, inner + 1, inner + 1] += stiff
    information[:, inner, inner + 1] = information[:, inner + 1, inner] = -stiff
    for level in range(k):
        own = slice(starts[level], starts[level + 1])
        after = slice(starts[level + 1], starts[level + 2])
        cross = at_upper[:, own] @ problem.z[own] + at_lower[:, after] @ problem.z[after]
        information[:, level, k:] = information[:, k:, level] = -cross
    block = (at_upper + at_lower) @ problem.products
    first, second = problem.pairs
    information[:, k + first, k + second] = information[:, k + second, k + first] = block
    return information


def _information_floor(problem: RefitProblem) -> FloatArray:
    """Return the inverse Cholesky root of the information of the data as they are."""
    everyone = np.ones((1, len(problem.z)))
    information = _derivatives(problem, problem.start[None], everyone)[1][0]
    return np.asarray(np.linalg.inv(np.linalg.cholesky(information)))


def _informed(information: FloatArray, root: FloatArray) -> NDArray[np.bool_]:
    """Say which refits kept at least a hundredth of the information about every direction."""
    if not len(information):
        return np.zeros(0, dtype=bool)
    relative = root @ information @ root.T
    return np.asarray(np.linalg.eigvalsh(relative)[:, 0] > _ENOUGH_INFORMATION)
