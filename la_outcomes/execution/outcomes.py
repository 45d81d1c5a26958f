"""What became of each case, and what a whole run says of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from la_outcomes.errors import LaOutcomesError, PartlyDoneError, ResourceError
from la_outcomes.execution.dry_run import TO_DO, WouldRunError

T = TypeVar("T")
Verdict = tuple[str, str | None]

SUCCESSES = ("done", "already_done", "not_measured")
KILLED = "its worker process was killed"
TRIES_AFTER_A_LOST_WORKER = 2


@dataclass(frozen=True)
class Outcome:
    """What became of one case.

    ``status`` is one of done, already_done, not_measured, failed_input (the input is at fault and a rerun
    will not help), failed_transient (a rerun may succeed), failed_bug (a fault of the package); in a dry
    run also to_do.
    """

    case_id: str
    status: str
    reason: str | None
    seconds: float

    @property
    def succeeded(self) -> bool:
        """False where the case left no final result."""
        return self.status in SUCCESSES


class DryRunEnd(LaOutcomesError):
    """Raised at the end of a dry run, so that nothing after it is written.

    ``outcomes`` has one entry a case, with status to_do, already_done or a failure of the input.
    """

    exit_code = 0

    def __init__(self, label: str, outcomes: Sequence[Outcome]) -> None:
        self.outcomes = tuple(outcomes)
        counts = sorted(count_statuses(outcomes).items())
        super().__init__(f"{label}: " + ", ".join(f"{n} {status}" for status, n in counts))

    @property
    def to_do(self) -> int:
        """Cases that would be worked on."""
        return sum(outcome.status == TO_DO for outcome in self.outcomes)


def run_case(function: Callable[[T], Verdict], case: T, case_id: str) -> Outcome:
    """Run one case; what it raises becomes a failed outcome."""
    started = time.monotonic()
    status, reason = verdict_of(function, case)
    return Outcome(case_id, status, reason, time.monotonic() - started)


def verdict_of(function: Callable[[T], Verdict], case: T) -> Verdict:
    """What ``function`` says of ``case``, or what its error means."""
    try:
        return function(case)
    except WouldRunError:
        return TO_DO, None
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
