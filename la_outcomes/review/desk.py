"""What one reader does at the page: look, decide, grade, take back. Knows nothing of HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from la_outcomes.errors import InputError
from la_outcomes.review.case import Study
from la_outcomes.review.catalogue import Row
from la_outcomes.review.grades import SCORES, GradeList
from la_outcomes.review.reasons import SCAN, check_decision, clean_comment
from la_outcomes.review.records import Reader, Recorder
from la_outcomes.review.worklist import WorkList, last_decision


@dataclass(frozen=True)
class Desk:
    """One reader's place; ``resample`` is the percentage of the first pass that a second one repeats."""

    study: Study
    recorder: Recorder
    reader: Reader
    resample: float = 0.0

    @cached_property
    def worklist(self) -> WorkList:
        """The reader's list of labels and segmentations."""
        return WorkList(self.study.catalogue, self.reader, self.resample)

    @cached_property
    def gradelist(self) -> GradeList:
        """The reader's list of scans to grade."""
        return GradeList(self.study.catalogue, self.reader, self.resample)

    def decide(self, item: Row, said: dict[str, Any]) -> None:
        """Record a decision on a case, and on its scan too where ``with_scan`` is set and it is rejected.

        Raises ``InputError`` for what is not offered, ``ResourceError`` where the disk is full.
        """
        decision, reason = str(said.get("decision")), _text_or_none(said.get("reason"))
        check_decision(item["kind"], decision, reason)
        targets = [(item["kind"], item["target_id"])]
        if said.get("with_scan") is True:
            if decision != "reject":
                raise InputError("a scan as a whole can only be rejected")
            targets.append((SCAN, item["scan_id"]))
        comment = clean_comment(_text_or_none(said.get("comment")))
        rows = self.recorder.decide(
            self.reader, targets, {"decision": decision, "reason": reason, "comment": comment}
        )
        self.study.catalogue.add("qc_reviews", rows)

    def take_back_decision(self) -> str | None:
        """Take the reader's last standing decision back; reference of its case, None where there is none."""
        rows = last_decision(self.study.catalogue, self.reader)
        if not rows:
            return None
        self.study.catalogue.add("qc_reviews", self.recorder.take_back(self.reader, rows))
        cases = [(row["target_kind"], row["target_id"]) for row in rows if row["target_kind"] != SCAN]
        found = self.study.catalogue.ask(
            "SELECT ref FROM item WHERE kind = $kind AND target_id = $target",
            dict(zip(("kind", "target"), cases[0], strict=True)),
        )
        return found[0]["ref"] if found else None

    def grade(self, scan_id: str, said: dict[str, Any]) -> None:
        """Record both Fazekas scores of a scan; raises ``InputError`` for anything but 0 to 3."""
        grades = {name: said.get(name) for name in SCORES}
        if not all(type(value) is int and 0 <= value <= 3 for value in grades.values()):
            raise InputError("both scores are needed, 0 to 3")
        self._record_grade(scan_id, grades)

    def take_back_grade(self) -> str | None:
        """Take the reader's last grade back; reference of its scan, None where there is none."""
        scan = self.gradelist.last_graded()
        if scan is None:
            return None
        self._record_grade(scan["scan_id"], dict.fromkeys(SCORES))
        return str(scan["ref"])

    def _record_grade(self, scan_id: str, grades: dict[str, Any]) -> None:
        again = self.gradelist.has_row(scan_id)
        row = self.recorder.grade(self.reader, scan_id, grades, is_correction=again)
        self.study.catalogue.add("fazekas_ratings", [row])


def _text_or_none(value: object) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise InputError("text is expected")
    return value
