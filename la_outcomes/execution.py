"""Run one function over many cases, here or in processes, so that one bad case never stops the others."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from la_outcomes.errors import LaOutcomesError, PartlyDoneError, ResourceError

T = TypeVar("T")
R = TypeVar("R")
W = TypeVar("W")
Verdict = tuple[str, str | None]

SUCCESSES = ("done", "already_done", "not_measured")
TRIES_AFTER_A_LOST_WORKER = 2


@dataclass(frozen=True)
class Outcome:
    """What became of one case.

    ``status`` is one of done, already_done, not_measured, failed_input (the input is at fault and a rerun
    will not help), failed_transient (a rerun may succeed), failed_bug (a fault of the package).
    """

    case_id: str
    status: str
    reason: str | None
    seconds: float

    @property
    def succeeded(self) -> bool:
        """False where the case left no final result."""
        return self.status in SUCCESSES


def map_cases(
    function: Callable[[T], Verdict],
    cases: Sequence[T],
    *,
    jobs: int = 1,
    label: str = "cases",
    case_id: Callable[[T], str] = lambda case: str(getattr(case, "case_id", case)),
) -> list[Outcome]:
    """Apply ``function`` to each case and return one ``Outcome`` a case, in the order of ``cases``.

    ``function`` is importable (it is sent to fresh processes where ``jobs`` > 1), writes its own result
    shard and returns ``(status, reason)``; what it raises becomes a failed outcome. A worker process that
    is killed costs a retry of the cases it held, not the run.
    """
    ids = [case_id(case) for case in cases]
    results: dict[int, Outcome] = {}
    with progress_bar(label, len(ids)) as advance:
        if jobs <= 1 or len(ids) <= 1:
            for index, case in enumerate(cases):
                results[index] = _run(function, case, ids[index])
                advance()
        else:
            for index, outcome in _in_processes(function, cases, ids, min(jobs, len(ids))):
                results[index] = outcome
                advance()
    return [results[index] for index in range(len(ids))]


@dataclass(frozen=True)
class Stages(Generic[T, R, W]):
    """A piece of work in three stages: ``read`` its input, ``compute``, ``write`` and give the verdict.

    Called with a case it does all three, one after the other.
    """

    read: Callable[[T], R]
    compute: Callable[[R], W]
    write: Callable[[W], Verdict]

    def __call__(self, case: T) -> Verdict:
        """The whole case."""
        return self.write(self.compute(self.read(case)))


def map_stages(
    stages: Stages[T, R, W],
    cases: Sequence[T],
    *,
    jobs: int = 1,
    label: str = "cases",
    case_id: Callable[[T], str] = lambda case: str(getattr(case, "case_id", case)),
) -> list[Outcome]:
    """As ``map_cases``; with one job the next case is read and the last one written while one is computed.

    At most three cases are held at a time. With several jobs each process does whole cases, and one
    process reads or writes while another computes.
    """
    if jobs > 1 or not cases:
        return map_cases(stages, cases, jobs=jobs, label=label, case_id=case_id)
    results: list[Outcome] = []
    started = time.monotonic()

    def finish(writing: Future[Verdict]) -> None:
        nonlocal started
        verdict, now = _verdict(Future.result, writing), time.monotonic()
        results.append(Outcome(case_id(cases[len(results)]), *verdict, now - started))
        started = now
        advance()

    with (
        ThreadPoolExecutor(1) as reader,
        ThreadPoolExecutor(1) as writer,
        progress_bar(label, len(cases)) as advance,
    ):
        reading, writing = reader.submit(stages.read, cases[0]), None
        for following in [*cases[1:], None]:
            current = reading
            if following is not None:
                reading = reader.submit(stages.read, following)
            computed = _computed(stages, current, writer)
            if writing is not None:
                finish(writing)
            writing = computed
        if writing is not None:
            finish(writing)
    return results


def _computed(stages: Stages[T, R, W], reading: Future[R], writer: ThreadPoolExecutor) -> Future[Verdict]:
    """Compute one case and hand it to the writer; what goes wrong before is told in the writer's place."""
    try:
        return writer.submit(stages.write, stages.compute(reading.result()))
    except Exception as error:
        failed: Future[Verdict] = Future()
        failed.set_exception(error)
        return failed


def raise_if_any_failed(outcomes: Sequence[Outcome], *, what: str) -> None:
    """Raise ``PartlyDoneError`` (exit code 4) that names the failed cases and their reasons."""
    failed = [outcome for outcome in outcomes if not outcome.succeeded]
    if failed:
        lines = [f"  {o.case_id}: {o.status}: {o.reason}" for o in failed[:20]]
        if len(failed) > len(lines):
            lines.append(f"  and {len(failed) - len(lines)} more")
        raise PartlyDoneError(
            f"{len(failed)} of {len(outcomes)} {what} failed:\n" + "\n".join(lines),
            hint="run the same command again to retry what can pass; the others are done",
        )


def count_statuses(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """How many cases ended with each status."""
    return dict(Counter(outcome.status for outcome in outcomes))


@contextmanager
def progress_bar(label: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on standard error that gives a function to call after each step; lines where no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _line_printer(label, total)
        return
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(label, total=total)
        yield lambda: bar.advance(task)


def _line_printer(label: str, total: int) -> Callable[[], None]:
    done = 0
    started = time.monotonic()

    def advance() -> None:
        nonlocal done
        done += 1
        if done == total or done % max(total // 5, 1) == 0:
            print(f"{label}: {done}/{total}, {time.monotonic() - started:.0f} s", file=sys.stderr)

    return advance


def _run(function: Callable[[T], Verdict], case: T, case_id: str) -> Outcome:
    started = time.monotonic()
    status, reason = _verdict(function, case)
    return Outcome(case_id, status, reason, time.monotonic() - started)


def _verdict(function: Callable[[T], Verdict], case: T) -> Verdict:
    try:
        return function(case)
    except ResourceError as error:
        return "failed_transient", str(error)
    except LaOutcomesError as error:
        return "failed_input", str(error)
    except MemoryError:
        return "failed_transient", "out of memory"
    except Exception as error:
        return "failed_bug", describe_bug(error)


def describe_bug(error: Exception) -> str:
    """Type and place of an unexpected error, without its text, which may quote a file's contents."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return f"unexpected {type(error).__name__}"
    file_name = Path(trace.tb_frame.f_code.co_filename).name
    return f"unexpected {type(error).__name__} at {file_name}:{trace.tb_lineno}"


def _in_processes(
    function: Callable[[T], Verdict], cases: Sequence[T], ids: Sequence[str], jobs: int
) -> Iterator[tuple[int, Outcome]]:
    remaining = dict(enumerate(cases))
    losses: Counter[int] = Counter()
    while remaining:
        for index, outcome in _one_pool(function, remaining, ids, jobs):
            if outcome is not None:
                del remaining[index]
                yield index, outcome
                continue
            losses[index] += 1
            if losses[index] > TRIES_AFTER_A_LOST_WORKER:
                del remaining[index]
                yield index, Outcome(ids[index], "failed_transient", "its worker process was killed", 0.0)


def _one_pool(
    function: Callable[[T], Verdict], remaining: dict[int, T], ids: Sequence[str], jobs: int
) -> Iterator[tuple[int, Outcome | None]]:
    """Outcomes until all are done or the pool breaks; None marks a case that was held by the lost pool."""
    context = multiprocessing.get_context("spawn")
    queue = iter(list(remaining.items()))
    running: dict[Future[Outcome], int] = {}
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_single_threaded) as pool:
        try:
            while True:
                while len(running) < jobs and (item := next(queue, None)) is not None:
                    running[pool.submit(_run, function, item[1], ids[item[0]])] = item[0]
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    outcome = future.result()
                    yield running.pop(future), outcome
        except BrokenProcessPool:
            for index in running.values():
                yield index, None
        except (KeyboardInterrupt, GeneratorExit):
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _single_threaded() -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
        os.environ[name] = "1"
    sitk: Any = sys.modules.get("SimpleITK")
    if sitk is not None:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
