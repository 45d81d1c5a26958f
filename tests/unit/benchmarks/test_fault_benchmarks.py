"""The corpus of faults and the fuzzer: parts of each, and a fault they must notice."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmark_scripts import load_script


def test_part_of_the_corpus_and_a_sound_file_called_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = load_script("fault_corpus")
    monkeypatch.setenv("LA_OUTCOMES_KEY_FILE", str(tmp_path / "key"))
    log = tmp_path / "log.jsonl"
    results = corpus.measure(tmp_path / "a", "DICOMDIR: lists [", log)
    assert len(results) == 7
    assert not [one for one in results if one.wrong]
    again = corpus.measure(tmp_path / "b", "DICOMDIR: lists [", log)
    assert [one.seconds for one in again] == [one.seconds for one in results]
    assert "7 inputs, **0 not handled" in corpus.page(results)
    sound = next(one for one in corpus.corpus() if one.name == "tilt in the sform alone")
    called_bad = corpus.Fault(sound.group, sound.name, sound.make)
    assert corpus.try_one(called_bad, tmp_path / "c").wrong == "was used"


def test_seeds_are_read_and_changed(tmp_path: Path) -> None:
    fuzz = load_script("fuzz_readers")
    for target in fuzz.TARGETS:
        assert fuzz.seeds(target)
    assert fuzz.at_random("nifti", 0.3) > 0
