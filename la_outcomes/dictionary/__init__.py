"""The data dictionary: what each registry column is, may hold and means, read from ``data_dictionary``."""

from la_outcomes.dictionary.load import dictionary_folder, load_dictionary
from la_outcomes.dictionary.model import Check, Column, Dictionary, Lookup, Range, Scalar, Table, View

__all__ = [
    "Check",
    "Column",
    "Dictionary",
    "Lookup",
    "Range",
    "Scalar",
    "Table",
    "View",
    "dictionary_folder",
    "load_dictionary",
]
