"""How far a run has come: a bar in a terminal, lines in a log file, or JSON for a machine."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from la_outcomes.execution.outcomes import Outcome

Advance = Callable[..., None]
SECONDS_BETWEEN_LINES = 30.0

_as_json = False


def log_as_json(on: bool = True) -> None:
    """From now on write progress of this process as JSON, one object a line, on standard error."""
    global _as_json
    _as_json = on


def writes_json() -> bool:
    """True where this process tells its progress as JSON."""
    return _as_json


def log_event(event: str, **facts: Any) -> None:
    """One JSON line on standard error, where asked for; ``facts`` must not identify a person."""
    if _as_json:
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        print(json.dumps({"time": moment, "event": event, **facts}), file=sys.stderr, flush=True)


@contextmanager
def progress_bar(label: str, total: int) -> Iterator[Advance]:
    """Give a function to call after each step, with the step's ``Outcome`` where there is one.

    In a terminal a bar with rate and time left; elsewhere at most a line each half minute and at every
    fifth of the way; JSON lines after ``log_as_json``.
    """
    console = Console(stderr=True)
    if _as_json:
        log_event("start", label=label, total=total)
        yield _json_writer(label, total)
    elif console.is_terminal:
        columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(label, total=total)
            yield lambda outcome=None: bar.advance(task)
    else:
        yield _line_printer(label, total)


class _Rate(ProgressColumn):
    """Steps a minute."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed * 60:.3g}/min" if task.speed else "")


def _json_writer(label: str, total: int) -> Advance:
    done = 0

    def advance(outcome: Outcome | None = None) -> None:
        nonlocal done
        done += 1
        facts: dict[str, Any] = {"label": label, "done": done, "total": total}
        if outcome is not None:
            facts |= {"case_id": outcome.case_id, "status": outcome.status, "reason": outcome.reason}
            facts |= {"seconds": round(outcome.seconds, 3)}
        log_event("case", **facts)

    return advance


def _line_printer(label: str, total: int) -> Advance:
    done = 0
    started = told = time.monotonic()

    def advance(outcome: Outcome | None = None) -> None:
        nonlocal done, told
        done += 1
        now = time.monotonic()
        if done == total or done % max(total // 5, 1) == 0 or now - told > SECONDS_BETWEEN_LINES:
            told = now
            print(f"{label}: {done}/{total}, {_pace(done, total, now - started)}", file=sys.stderr)

    return advance


def _pace(done: int, total: int, seconds: float) -> str:
    left = seconds / done * (total - done)
    text = f"{seconds:.0f} s"
    return text if done == total else f"{text}, {60 * done / max(seconds, 1e-9):.3g}/min, {left:.0f} s left"
