"""Greedy (Yushkevich 2016) on images in memory: one thread, a fixed seed, nothing printed."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from la_outcomes.errors import InputError

SEED = 1


def run_greedy(command: str, images: dict[str, Any]) -> Any:
    """Run greedy on images by name, one thread, fixed seed; its outputs by name.

    Greedy jitters its samples and adds noise to flat areas: the seed makes the same inputs give the same
    bytes. Raises ``InputError`` where the scans do not overlap.
    """
    from picsl_greedy import Greedy3D

    engine = Greedy3D()
    try:
        with _quiet():
            engine.execute(
                f"-threads 1 -seed {SEED} -V 0 {command}", out=io.StringIO(), err=io.StringIO(), **images
            )
    except RuntimeError as error:
        raise InputError("coregistration found no overlap of CT and FLAIR") from error
    return engine


@contextmanager
def _quiet() -> Iterator[None]:
    """Standard output closed for what compiled code prints past Python's streams."""
    sys.stdout.flush()
    kept = os.dup(1)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)
