"""Who may sit down: keys, tokens, pseudonyms."""

from __future__ import annotations

from pathlib import Path

import pytest

from la_outcomes.errors import InputError
from la_outcomes.review.sessions import MOST_SESSIONS, Door, read_tokens


def test_a_key_opens_under_a_pseudonym() -> None:
    door = Door(adjudicator="boss")
    cookie, session = door.enter(door.key, " anna ")
    assert door.session(cookie) is session
    assert (session.reader.name, session.reader.is_adjudicator) == ("anna", False)
    assert door.enter(door.key, "boss")[1].reader.is_adjudicator
    door.leave(cookie)
    assert door.session(cookie) is None
    assert Door().key != door.key


@pytest.mark.parametrize("name", ["", "Anna Müller", "<b>", "a" * 41, "a|b", "-a", "a\nb"])
def test_unfit_pseudonyms(name: str) -> None:
    door = Door()
    with pytest.raises(InputError, match="pseudonym"):
        door.enter(door.key, name)


def test_a_wrong_key_opens_nothing() -> None:
    door = Door()
    for secret in ("", door.key[:-1], "é"):
        with pytest.raises(InputError, match="address"):
            door.enter(secret, "anna")


def test_a_token_says_whose_it_is() -> None:
    door = Door(tokens={"anna": "a" * 16, "ben": "b" * 16})
    assert door.enter("b" * 16, "anna")[1].reader.name == "ben"
    with pytest.raises(InputError, match="opens nothing"):
        door.enter(door.key, "anna")


def test_forgotten_sessions_give_way() -> None:
    door = Door()
    cookies = [door.enter(door.key, "anna")[0] for _ in range(MOST_SESSIONS + 1)]
    assert door.session(cookies[0]) is None
    assert door.session(cookies[-1]) is not None


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_tokens_are_read(tmp_path: Path) -> None:
    file = write(tmp_path / "tokens", "anna 0123456789abcdef\n\nben fedcba9876543210 \n")
    assert read_tokens(file) == {"anna": "0123456789abcdef", "ben": "fedcba9876543210"}


@pytest.mark.parametrize(
    ("text", "mode", "error"),
    [
        ("anna 0123456789abcdef", 0o644, "others may read"),
        ("anna short", 0o600, "line 1"),
        ("anna 0123456789abcdef\nanna 1123456789abcdef", 0o600, "line 2"),
        ("anna 0123456789abcdef\nben 0123456789abcdef", 0o600, "of their own"),
        ("", 0o600, "of their own"),
    ],
)
def test_unfit_files_of_tokens(tmp_path: Path, text: str, mode: int, error: str) -> None:
    with pytest.raises(InputError, match=error) as refused:
        read_tokens(write(tmp_path / "tokens", text, mode))
    assert "0123456789abcdef" not in str(refused.value)
