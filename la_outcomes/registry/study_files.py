"""Which files the page may read: those of the registry's rows, inside the study's folders, unchanged.

The registry names masks relative to the folder a command wrote, and scans as the user gave them. Here both
are looked for in the study's folders alone; links that lead out of them are refused. Errors name no file,
since the user's paths may identify a person.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path, PurePath, PurePosixPath

from la_outcomes.errors import InputError
from la_outcomes.shards import sha256_file

_ADMITTED = (".nii", ".nii.gz", ".h5")
_CHANGED = "the {what} was changed after it was recorded"


class StudyFiles:
    """Files below the study's folders.

    ``roots`` are the folders; raises ``InputError`` where one does not exist.
    """

    def __init__(self, roots: Iterable[Path]) -> None:
        self.roots = tuple(dict.fromkeys(root.resolve() for root in roots))
        for root in self.roots:
            if not root.is_dir():
                raise InputError("there is no such folder", where=root)
        self._outputs = self._output_folders()

    def written(self, relative: str, sha256: str | None, what: str) -> Path:
        """A file that a command wrote, by its path in that command's folder.

        Raises ``InputError`` where no study folder holds it, or only another content under its name.
        """
        path = PurePosixPath(relative)
        if path.is_absolute() or ".." in path.parts:
            raise InputError(f"the {what} has no path inside a study folder")
        found = self._first(self._outputs, path, sha256, what)
        if found is None:
            self._outputs = self._output_folders()
            found = self._first(self._outputs, path, sha256, what)
        if found is None:
            raise InputError(f"the {what} is in none of the study's folders", hint="add its folder: --folder")
        return found

    def scan(self, recorded: str, sha256: str | None, what: str) -> Path:
        """A scan by the path it was given with; a study that was moved is found by the path's last parts."""
        path = PurePath(recorded)
        if path.is_absolute():
            inside = self._admitted(Path(path))
            if inside is not None:
                return self._unchanged(inside, sha256, what)
        parts = [part for part in path.parts if part not in (path.anchor, "..")]
        tails = [PurePosixPath(*parts[start:]) for start in range(len(parts))]
        folders = (*self.roots, *self._outputs)
        for tail in tails if sha256 or not path.is_absolute() else ():
            found = self._first(folders, tail, sha256, what)
            if found is not None:
                return found
        raise InputError(f"the {what} is in none of the study's folders", hint="add its folder: --folder")

    def reference(self, path: Path, what: str) -> Path:
        """A mask that the user named on the command line; it must lie in the study's folders as well."""
        found = self._admitted(path)
        if found is None:
            raise InputError(f"the {what} is in none of the study's folders", hint="add its folder: --folder")
        return found

    def _first(
        self, folders: Iterable[Path], path: PurePosixPath, sha256: str | None, what: str
    ) -> Path | None:
        changed: InputError | None = None
        for folder in folders:
            found = self._admitted(folder / path)
            if found is None:
                continue
            try:
                return self._unchanged(found, sha256, what)
            except InputError as error:
                changed = error
        if changed is not None:
            raise changed
        return None

    def _admitted(self, path: Path) -> Path | None:
        real = path.resolve()
        inside = any(real.is_relative_to(root) for root in self.roots)
        return real if inside and real.name.endswith(_ADMITTED) and real.is_file() else None

    @staticmethod
    def _unchanged(path: Path, sha256: str | None, what: str) -> Path:
        stat = path.stat()
        if sha256 is not None and _sha256(path, stat.st_size, stat.st_mtime_ns) != sha256:
            raise InputError(_CHANGED.format(what=what), hint="run its command again, then ingest")
        return path

    def _output_folders(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys(folder for root in self.roots for folder in _with_shards(root)))


@lru_cache(maxsize=4096)
def _sha256(path: Path, _size: int, _modified_ns: int) -> str:
    return sha256_file(path)


def _with_shards(root: Path) -> Iterator[Path]:
    """Folders at or below the root that a command wrote its shards to."""
    for parent, folders, _ in os.walk(root):
        if "shards" in folders:
            folders.remove("shards")
            yield Path(parent)
