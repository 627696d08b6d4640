"""Report text: its words, sections, findings and faults, for the node and for training.

Everything here works on strings. It knows no network, no image and no DICOM.
"""
