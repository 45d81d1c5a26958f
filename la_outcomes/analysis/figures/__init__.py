"""Figures of the study: one style, units on axes, the same bytes for the same data."""
