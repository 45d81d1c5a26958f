"""Risk-set sums of the weighted partial likelihood of Fine and Gray (1999), all by running sums over time.

A patient's weight at an event time t is 1 while under observation (T >= t), G(t-)/G(T-) after a competing
event, 0 otherwise. So each risk-set sum is one running sum from the end plus G(t-) times one from the start.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from la_outcomes.analysis.results import FloatArray


@dataclass(frozen=True)
class SubdistributionData:
    """Rows sorted by time, columns centred.

    ``order`` sorts the caller's rows; ``code`` 0, 1, 2; ``event_times`` (J) distinct times of event 1 and
    ``deaths`` their counts; ``first`` (J) number of the first row with T >= t_j; ``censoring_before`` G(T-)
    of each row, ``at_event`` G(t_j-).
    """

    time: FloatArray
    code: FloatArray
    x: FloatArray
    centre: FloatArray
    order: NDArray[np.intp]
    event_times: FloatArray
    deaths: FloatArray
    first: NDArray[np.intp]
    censoring_before: FloatArray
    at_event: FloatArray

    def at(self, slopes: FloatArray) -> SubdistributionState:
        """Return everything that depends on the coefficients."""
        return SubdistributionState(self, slopes)


def prepare(time: FloatArray, code: FloatArray, x: FloatArray) -> SubdistributionData:
    """Sort the rows and estimate the censoring distribution."""
    order = np.argsort(time, kind="stable")
    time, code = time[order], code[order]
    centre = x.mean(axis=0)
    events, deaths = np.unique(time[code == 1], return_counts=True)
    censor_times, survival = _censoring_curve(time, code)

    def before(t: FloatArray) -> FloatArray:
        return np.asarray(survival[np.searchsorted(censor_times, t, side="left")])

    return SubdistributionData(
        time=time,
        code=code,
        x=x[order] - centre,
        centre=centre,
        order=order,
        event_times=events,
        deaths=deaths.astype(float),
        first=np.searchsorted(time, events, side="left"),
        censoring_before=before(time),
        at_event=before(events),
    )


def _censoring_curve(time: FloatArray, code: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Distinct censoring times, and the Kaplan-Meier curve of censoring before the first and after each."""
    times, counts = np.unique(time[code == 0], return_counts=True)
    at_risk = len(time) - np.searchsorted(time, times, side="left")
    return times, np.concatenate([[1.0], np.cumprod(1 - counts / at_risk)])


@dataclass(frozen=True)
class SubdistributionState:
    """The pseudo likelihood and its derivatives at ``slopes``; arrays are per sorted row or event time."""

    data: SubdistributionData
    slopes: FloatArray

    @cached_property
    def risk(self) -> FloatArray:
        """exp(x beta) of each row."""
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(self.data.x @ self.slopes))

    def _risk_set_sums(self, values: FloatArray) -> FloatArray:
        """Sum values (n by k) over each event time's weighted risk set (J by k)."""
        data = self.data
        still = np.cumsum(values[::-1], axis=0)[::-1]
        still = np.concatenate([still, np.zeros((1, values.shape[1]))])[data.first]
        weight = np.where(data.code == 2, 1 / data.censoring_before, 0.0)
        gone = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values * weight[:, None], axis=0)])
        return np.asarray(still + data.at_event[:, None] * gone[data.first])

    @cached_property
    def _sums(self) -> FloatArray:
        return self._risk_set_sums(np.column_stack([self.risk, self.risk[:, None] * self.data.x]))

    @property
    def means(self) -> FloatArray:
        """Weighted mean of x in each risk set (J by p)."""
        return np.asarray(self._sums[:, 1:] / self._sums[:, :1])

    @property
    def increments(self) -> FloatArray:
        """Breslow's increments of the cumulative baseline subdistribution hazard (J)."""
        return np.asarray(self.data.deaths / self._sums[:, 0])

    @cached_property
    def loglik(self) -> float:
        """Pseudo log-likelihood with Breslow's ties."""
        own = self.data.x[self.data.code == 1] @ self.slopes
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(own.sum() - self.data.deaths @ np.log(self._sums[:, 0]))

    @cached_property
    def score(self) -> FloatArray:
        """Gradient (p)."""
        return np.asarray(self.data.x[self.data.code == 1].sum(axis=0) - self.data.deaths @ self.means)

    def _exposures(self, values: FloatArray) -> FloatArray:
        """Sum values (J by k) over the event times a row is at risk for, with its weights (n by k)."""
        data, zero = self.data, np.zeros((1, values.shape[1]))
        until = np.concatenate([zero, np.cumsum(values, axis=0)])
        later = np.concatenate([np.cumsum((values * data.at_event[:, None])[::-1], axis=0)[::-1], zero])
        place = np.searchsorted(data.event_times, data.time, side="right")
        weight = np.where(data.code == 2, 1 / data.censoring_before, 0.0)
        return np.asarray(until[place] + weight[:, None] * later[place])

    @cached_property
    def information(self) -> FloatArray:
        """Minus the second derivative (p by p)."""
        x, means = self.data.x, self.means
        weight = self.risk * self._exposures(self.increments[:, None])[:, 0]
        return np.asarray(x.T @ (x * weight[:, None]) - means.T @ (means * self.data.deaths[:, None]))

    def score_residuals(self) -> FloatArray:
        """Each row's part of the score, the censoring weights taken as known (n by p)."""
        data, increments = self.data, self.increments
        exposure = self._exposures(np.column_stack([increments, increments[:, None] * self.means]))
        expected = self.risk[:, None] * (data.x * exposure[:, :1] - exposure[:, 1:])
        own = np.zeros_like(data.x)
        mine = data.code == 1
        own[mine] = data.x[mine] - self.means[np.searchsorted(data.event_times, data.time[mine])]
        return np.asarray(own - expected)

    def censoring_residuals(self) -> FloatArray:
        """What estimating the censoring curve adds to each row (n by p): Fine and Gray's psi (eq. 8)."""
        data = self.data
        times, counts = np.unique(data.time[data.code == 0], return_counts=True)
        if not len(times):
            return np.zeros_like(data.x)
        at_risk = len(data.time) - np.searchsorted(data.time, times, side="left")
        change = self._censoring_gradient(times) / at_risk[:, None]
        hazard = np.concatenate(
            [np.zeros((1, change.shape[1])), np.cumsum(change * (counts / at_risk)[:, None], axis=0)]
        )
        residuals = -hazard[np.searchsorted(times, data.time, side="right")]
        censored = data.code == 0
        residuals[censored] += change[np.searchsorted(times, data.time[censored])]
        return np.asarray(residuals)

    def _censoring_gradient(self, times: FloatArray) -> FloatArray:
        """q(u): how the score answers to a censoring at u, through patients gone before u with event 2."""
        data = self.data
        zero = np.zeros((1, data.x.shape[1] + 1))
        weighted = (self.increments * data.at_event)[:, None]
        ahead = np.column_stack([weighted, weighted * self.means])
        ahead = np.concatenate([np.cumsum(ahead[::-1], axis=0)[::-1], zero])
        ahead = ahead[np.searchsorted(data.event_times, times, side="left")]
        weight = np.where(data.code == 2, self.risk / data.censoring_before, 0.0)[:, None]
        gone = np.concatenate(
            [zero, np.cumsum(weight * np.column_stack([np.ones(len(data.x)), data.x]), axis=0)]
        )
        gone = gone[np.searchsorted(data.time, times, side="left")]
        return np.asarray(gone[:, 1:] * ahead[:, :1] - gone[:, :1] * ahead[:, 1:])
