"""The only package with pydicom, pynetdicom and highdicom: images in, Structured Reports out."""

from echo_node.dicom.libraries import configure_libraries

configure_libraries()
