"""Small published tables, typed in, that tests of agreement and correlation use."""

from __future__ import annotations

import numpy as np

# Bland JM, Altman DG. Lancet 1986;327:307-310, table: peak expiratory flow (l/min) of 17 people, two passes
# with a Wright meter and two with a mini Wright meter.
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
WRIGHT_AGAIN = [490, 397, 512, 401, 470, 611, 415, 431, 638, 429, 420, 633, 275, 492, 165, 372, 421]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
MINI_AGAIN = [525, 415, 508, 444, 500, 625, 460, 390, 642, 432, 420, 605, 227, 467, 268, 370, 443]

# Stuart A. Biometrika 1953;40:105-110: unaided distance vision of 7,477 women, right eye by left eye.
VISION = np.array([[1520, 266, 124, 66], [234, 1512, 432, 78], [117, 362, 1772, 205], [36, 82, 179, 492]])

# Shrout PE, Fleiss JL. Psychol Bull 1979;86:420-428, table 2: six targets (rows) by four judges.
JUDGES = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])

# Krippendorff K. Content Analysis, 2nd ed. 2004, p. 230: four observers (rows) by twelve units.
_ = float("nan")
OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, _],
        [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 3],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
    ]
)

# Hollander M, Wolfe DA. 1973, p. 140: times of 22 players (rows) to round first base, three ways of running.
_TIMES = """
5.40 5.50 5.55  5.85 5.70 5.75  5.20 5.60 5.50  5.55 5.50 5.40  5.90 5.85 5.70  5.45 5.55 5.60
5.40 5.40 5.35  5.45 5.50 5.35  5.25 5.15 5.00  5.85 5.80 5.70  5.25 5.20 5.10  5.65 5.55 5.45
5.60 5.35 5.45  5.05 5.00 4.95  5.50 5.50 5.40  5.45 5.55 5.50  5.55 5.55 5.35  5.45 5.50 5.55
5.50 5.45 5.25  5.65 5.60 5.40  5.70 5.65 5.55  6.30 6.30 6.25
"""
BASE_TIMES = np.array(_TIMES.split(), dtype=float).reshape(22, 3)


def pairs_of(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two ratings of each patient behind a cross table of categories 0, 1, ..."""
    rows, columns = np.indices(table.shape)
    counts = np.asarray(table).ravel()
    return np.repeat(rows.ravel(), counts), np.repeat(columns.ravel(), counts)
