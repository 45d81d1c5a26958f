"""Malformed and hostile inputs, each made by a function, with what must become of it."""
