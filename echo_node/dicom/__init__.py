"""The only package with pydicom, pynetdicom and highdicom: images in, Structured Reports out."""
