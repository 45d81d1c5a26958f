import json
import os
import re
import signal
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from la_outcomes import execution
from la_outcomes.errors import InputError, PartlyDoneError, ResourceError
from la_outcomes.execution import DryRunEnd, Stages, map_cases, start_work
from la_outcomes.execution.dry_run import only_say
from la_outcomes.execution.progress import log_as_json


@dataclass(frozen=True)
class Case:
    case_id: str
    folder: str = ""


def work(case):
    match case.case_id:
        case "bad":
            raise InputError("not a scan", where=case.case_id)
        case "full":
            raise ResourceError("no space left")
        case "bug":
            raise ValueError("Patient^Name in the text")
        case "none":
            return "not_measured", "no head found"
        case "killer":
            os.kill(os.getpid(), signal.SIGKILL)
        case "killed once":
            mark = Path(case.folder) / "mark"
            if not mark.exists():
                mark.write_text("")
                os.kill(os.getpid(), signal.SIGKILL)
    return "done", None


NAMES = ["a", "bad", "b", "full", "bug", "none", "c"]
STATUSES = ["done", "failed_input", "done", "failed_transient", "failed_bug", "not_measured", "done"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_one_bad_case_never_stops_the_others(jobs):
    outcomes = execution.map_cases(work, [Case(name) for name in NAMES], jobs=jobs)
    assert [o.case_id for o in outcomes] == NAMES
    assert [o.status for o in outcomes] == STATUSES


def test_the_text_of_an_unexpected_error_is_not_repeated():
    (outcome,) = execution.map_cases(work, [Case("bug")])
    assert "Patient" not in outcome.reason
    assert outcome.reason.startswith("unexpected ValueError at test_cases.py:")


def test_a_killed_worker_costs_a_retry_not_the_run(tmp_path):
    cases = [Case(name, str(tmp_path)) for name in ["a", "killed once", "b", "c", "d"]]
    outcomes = execution.map_cases(work, cases, jobs=2)
    assert [o.status for o in outcomes] == ["done"] * 5


def test_a_case_that_kills_every_worker_is_given_up_and_named():
    outcomes = execution.map_cases(work, [Case("killer"), *(Case(str(i)) for i in range(6))], jobs=2)
    assert outcomes[0].status == "failed_transient"
    assert "killed" in outcomes[0].reason
    assert sum(o.status == "done" for o in outcomes) >= 5


def test_failures_are_listed_with_exit_code_4():
    outcomes = execution.map_cases(work, [Case("a"), Case("bad"), Case("none")])
    with pytest.raises(PartlyDoneError, match="1 of 3 scans failed") as caught:
        execution.raise_if_any_failed(outcomes, what="scans")
    assert caught.value.exit_code == 4
    assert "not a scan" in str(caught.value)
    execution.raise_if_any_failed(outcomes[:1], what="scans")


def test_no_cases_is_no_error():
    assert execution.map_cases(work, [], jobs=2) == []


def _read(case: int) -> int:
    if case == 3:
        raise InputError("cannot be read")
    return case


def _double(value: int) -> int:
    if value == 5:
        raise RuntimeError("a bug")
    return 2 * value


def _told(value: int) -> tuple[str, str | None]:
    return "done", str(value)


STAGES = Stages(_read, _double, _told)


@pytest.mark.parametrize("jobs", [1, 2])
def test_stages_give_each_case_its_own_verdict_in_order(jobs: int) -> None:
    outcomes = map_cases(STAGES, list(range(7)), jobs=jobs, case_id=str)
    assert [outcome.case_id for outcome in outcomes] == [str(n) for n in range(7)]
    verdicts = {outcome.case_id: (outcome.status, outcome.reason) for outcome in outcomes}
    assert verdicts["6"] == ("done", "12")
    assert verdicts["3"] == ("failed_input", "cannot be read")
    assert verdicts["5"][0] == "failed_bug"
    assert sum(outcome.succeeded for outcome in outcomes) == 5


def test_the_next_case_is_read_and_the_last_written_while_one_is_computed() -> None:
    reading, writing = threading.Event(), threading.Event()

    def read(case: int) -> int:
        if case == 2:
            reading.set()
        return case

    def compute(value: int) -> int:
        if value == 1:  # returns only if the third case is read, and the first written, meanwhile
            assert reading.wait(20)
            assert writing.wait(20)
        return value

    def write(value: int) -> tuple[str, str | None]:
        if value == 0:
            writing.set()
        return "done", None

    outcomes = map_cases(Stages(read, compute, write), [0, 1, 2])
    assert [outcome.status for outcome in outcomes] == ["done"] * 3


def test_no_cases_are_no_outcomes() -> None:
    assert map_cases(STAGES, []) == []


def _looked_at(case: Case) -> tuple[str, str | None]:
    if case.case_id == "known":
        return "already_done", None
    start_work()
    (Path(case.folder) / case.case_id).touch()
    return "done", None


def test_a_dry_run_says_what_would_be_done_and_does_nothing(tmp_path: Path) -> None:
    cases = [Case("known"), Case("bad"), Case("a", str(tmp_path)), Case("b", str(tmp_path))]
    only_say()
    try:
        with pytest.raises(DryRunEnd) as end:
            map_cases(_looked_at, cases, jobs=2)
    finally:
        only_say(False)
    assert end.value.to_do == 3
    assert not list(tmp_path.iterdir())
    map_cases(_looked_at, cases[2:])
    assert len(list(tmp_path.iterdir())) == 2


def test_progress_as_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    log_as_json()
    try:
        map_cases(work, [Case("a"), Case("bad")], label="scans")
    finally:
        log_as_json(False)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["start", "case", "case", "end"]
    assert (lines[2]["case_id"], lines[2]["status"], lines[2]["done"]) == ("bad", "failed_input", 2)
    assert lines[3]["statuses"] == {"done": 1, "failed_input": 1}


def test_lines_outside_a_terminal_tell_rate_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    map_cases(work, [Case(str(number)) for number in range(10)], label="scans")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert re.fullmatch(r"scans: 2/10, 0 s, .*/min, 0 s left", lines[0])


def _interrupted(case: Case) -> tuple[str, str | None]:
    if case.case_id == "stop":
        raise KeyboardInterrupt
    return "done", None


def test_stopped_by_the_user_it_says_how_far_it_came(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        map_cases(_interrupted, [Case("a"), Case("stop"), Case("b")], label="scans")
    assert "scans: 1 of 3 ended before the stop" in capsys.readouterr().err
