"""Leukoaraiosis on CT: labels from FLAIR, segmentation, a registry of volumes, and stroke outcome."""

__version__ = "0.1.0"
