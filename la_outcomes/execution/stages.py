"""Work in three stages, so that reading and writing go on while a case is computed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from la_outcomes.execution.outcomes import Outcome, Verdict, verdict_of

T = TypeVar("T")
R = TypeVar("R")
W = TypeVar("W")


@dataclass(frozen=True)
class Stages(Generic[T, R, W]):
    """A piece of work in three stages: ``read`` its input, ``compute``, ``write`` and give the verdict.

    Called with a case it does all three, one after the other; ``map_cases`` with one job overlaps them.
    """

    read: Callable[[T], R]
    compute: Callable[[R], W]
    write: Callable[[W], Verdict]

    def __call__(self, case: T) -> Verdict:
        """The whole case."""
        return self.write(self.compute(self.read(case)))


def overlapped(
    stages: Stages[T, R, W], cases: Sequence[T], ids: Sequence[str]
) -> Iterator[tuple[int, Outcome]]:
    """Index and outcome of each case: the next is read and the last one written while one is computed.

    At most three cases are held at a time.
    """
    started = time.monotonic()
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        reading, writing = reader.submit(stages.read, cases[0]), None
        for index in range(len(cases)):
            current = reading
            if index + 1 < len(cases):
                reading = reader.submit(stages.read, cases[index + 1])
            computed = _computed(stages, current, writer)
            if writing is not None:
                yield index - 1, _outcome(writing, ids[index - 1], started)
                started = time.monotonic()
            writing = computed
        if writing is not None:
            yield len(cases) - 1, _outcome(writing, ids[-1], started)


def _outcome(writing: Future[Verdict], case_id: str, started: float) -> Outcome:
    verdict = verdict_of(Future.result, writing)
    return Outcome(case_id, *verdict, time.monotonic() - started)


def _computed(stages: Stages[T, R, W], reading: Future[R], writer: ThreadPoolExecutor) -> Future[Verdict]:
    """Compute one case and hand it to the writer; what goes wrong before is told in the writer's place."""
    try:
        return writer.submit(stages.write, stages.compute(reading.result()))
    except Exception as error:
        failed: Future[Verdict] = Future()
        failed.set_exception(error)
        return failed
