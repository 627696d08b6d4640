"""The way out: requests to other DICOM nodes and web services."""
