"""Small published tables, typed in, that tests of regression use."""

from __future__ import annotations

from itertools import product

import pandas as pd

_HOUSING = """
21 21 28  34 22 36  10 11 36   61 23 17  43 35 40  26 18 54
13  9 10   8  8 12   6  7  9   18  6  7  15 13 13   7  5 11
14 19 37  17 23 40   3  5 23   78 46 43  48 45 86  15 25 62
20 23 20  10 22 24   7 10 21   57 23 13  31 21 13   5  6 13
"""


def housing() -> pd.DataFrame:
    """Copenhagen housing conditions, 1,681 tenants (Madsen 1976; Venables and Ripley 2002, section
    7.3): satisfaction by influence, type of rental and contact, with frequencies."""
    levels = {
        "contact": ["Low", "High"],
        "type": ["Tower", "Apartment", "Atrium", "Terrace"],
        "influence": ["Low", "Medium", "High"],
        "satisfaction": ["Low", "Medium", "High"],
    }
    table = pd.DataFrame(list(product(*levels.values())), columns=list(levels))
    for name, order in levels.items():
        table[name] = pd.Categorical(table[name], order, ordered=True)
    table["n"] = [int(count) for count in _HOUSING.split()]
    return table


def streptomycin() -> pd.DataFrame:
    """Streptomycin for tuberculosis: radiological result at six months by arm, levels 1 (death) to 6
    (considerable improvement), 107 patients (Medical Research Council, BMJ 1948;2:769, table II)."""
    counts = {0: [14, 6, 12, 3, 13, 4], 1: [4, 6, 5, 2, 10, 28]}
    rows = [(arm, level + 1, n) for arm, row in counts.items() for level, n in enumerate(row)]
    return pd.DataFrame(rows, columns=["strep", "result", "n"])


def coal_miners() -> pd.DataFrame:
    """Pneumoconiosis of 371 coal miners by years at the face (Ashford 1959; McCullagh and Nelder 1989,
    table 5.1, p. 179)."""
    years = [5.8, 15, 21.5, 27.5, 33.5, 39.5, 46, 51.5]
    counts = {
        "normal": [98, 51, 34, 35, 32, 23, 12, 4],
        "mild": [0, 2, 6, 5, 10, 7, 6, 2],
        "severe": [0, 1, 3, 8, 9, 8, 10, 5],
    }
    table = pd.DataFrame({"years": years} | counts).melt("years", var_name="grade", value_name="n")
    table["grade"] = pd.Categorical(table["grade"], list(counts), ordered=True)
    return table
