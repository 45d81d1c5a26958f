"""Reporting checklists: their items in our words, and what a run knows about each."""
