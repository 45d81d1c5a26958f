"""One family of errors: what went wrong, where, what to do, and the exit code of the command."""

from __future__ import annotations


class LaOutcomesError(Exception):
    """Base of every error this package raises on purpose.

    Parameters
    ----------
    what : plain sentence, without data that identifies a person.
    where : file, table, column or case it concerns.
    hint : what the user can do about it.

    Attributes
    ----------
    exit_code : exit code of the command line (see ``docs/architecture.md``).
    """

    exit_code = 1

    def __init__(self, what: str, *, where: object = None, hint: str | None = None) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.hint = hint
        super().__init__(str(self))

    def __str__(self) -> str:
        parts = [self.what]
        if self.where:
            parts.append(f"where: {self.where}")
        if self.hint:
            parts.append(f"hint: {self.hint}")
        return " | ".join(parts)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.where, self.hint))


def _rebuild(kind: type[LaOutcomesError], what: str, where: str | None, hint: str | None) -> LaOutcomesError:
    return kind(what, where=where, hint=hint)


class UsageError(LaOutcomesError):
    """The command was given arguments that do not go together (exit code 2)."""

    exit_code = 2


class InputError(LaOutcomesError):
    """A file, table or value cannot be used as it is (exit code 3)."""

    exit_code = 3


class StatisticsError(InputError):
    """Data on which the asked-for statistic is not defined; names the variable (exit code 3)."""


class PartlyDoneError(LaOutcomesError):
    """Some cases failed or some questions could not be answered; the rest is done (exit code 4)."""

    exit_code = 4


class AuditError(LaOutcomesError):
    """The audit of a registry found errors in its data (exit code 5)."""

    exit_code = 5


class RegistryLockedError(LaOutcomesError):
    """Another process holds the registry (exit code 6)."""

    exit_code = 6


class ResourceError(LaOutcomesError):
    """Out of disk space, memory or time; the same case may succeed later (exit code 7)."""

    exit_code = 7
