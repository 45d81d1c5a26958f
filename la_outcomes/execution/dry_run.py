"""What a command would do, without doing it."""

from __future__ import annotations

TO_DO = "to_do"
_trying = False


class WouldRunError(Exception):
    """Raised by ``start_work`` in a dry run: this case would be worked on."""


def only_say(on: bool = True) -> None:
    """From now on this process only says what it would do."""
    global _trying
    _trying = on


def is_dry_run() -> bool:
    """True where commands only say what they would do."""
    return _trying


def start_work() -> None:
    """Called by a case's function once it knows that there is work to do; ends the case in a dry run."""
    if _trying:
        raise WouldRunError
