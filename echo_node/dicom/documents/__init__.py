"""DICOM objects of a draft: structured reports, PDF, Secondary Capture, rejection notes."""
