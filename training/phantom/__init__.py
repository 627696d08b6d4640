"""Phantom chest studies: images with known findings and reports in a small, checkable language.

A study's way: `findings` (truth) -> `radiograph` (image) and `grammar` (report) -> `dataset`; `parser` scores
drafts and `dicom_study` writes a study for the node. No torch in here, and nothing that resembles a real
patient.
"""
