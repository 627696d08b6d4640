"""The only package with pydicom, pynetdicom and highdicom: images in, Structured Reports out."""

from echo_node.dicom.library_settings import configure_libraries

configure_libraries()
