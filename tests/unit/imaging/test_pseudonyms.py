"""Keyed pseudonyms: the key is private and kept, and nothing shows it."""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from pathlib import Path

import pytest

from la_outcomes.errors import InputError, UsageError
from la_outcomes.imaging.pseudonyms import Pseudonyms, default_key_file, pseudonyms_by_key


def test_it_is_hmac_sha256_and_kinds_do_not_mix() -> None:
    names = Pseudonyms(b"k" * 32)
    expected = hmac.new(b"k" * 32, b"patient\x004711", hashlib.sha256).hexdigest()
    assert names.hash_of("patient", "4711") == expected
    assert names.of("patient", "4711") != names.of("series", "4711")
    assert names.of("patient", "4711") != Pseudonyms(b"l" * 32).of("patient", "4711")
    assert len(names.of("patient", "4711")) == 12


def test_the_key_is_made_once_private_and_never_shown(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "deep" / "key"
    first = pseudonyms_by_key(file, outside=tmp_path / "out")
    assert pseudonyms_by_key(file, outside=tmp_path / "out") == first
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    shown = repr(first) + "".join(capfd.readouterr())
    assert file.read_text().strip() not in shown
    assert repr(first.key) not in shown


def test_keys_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="passed on"):
        pseudonyms_by_key(tmp_path / "out" / "key", outside=tmp_path / "out")
    short = tmp_path / "short"
    short.write_text("abcd")
    short.chmod(0o600)
    with pytest.raises(InputError, match="no key") as error:
        pseudonyms_by_key(short, outside=tmp_path / "out")
    assert "abcd" not in str(error.value)


@pytest.mark.skipif(os.name != "posix", reason="permissions of files are POSIX's")
def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    pseudonyms_by_key(file, outside=tmp_path / "out")
    file.chmod(0o644)
    with pytest.raises(InputError, match="others"):
        pseudonyms_by_key(file, outside=tmp_path / "out")


def test_where_the_key_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LA_OUTCOMES_KEY_FILE", str(tmp_path / "mine"))
    assert default_key_file() == tmp_path / "mine"
    monkeypatch.delenv("LA_OUTCOMES_KEY_FILE")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    if os.name == "posix":
        assert default_key_file() == tmp_path / "la-outcomes" / "pseudonyms.key"
