"""Phantom world: computer-made chest radiographs with known findings and parsable reports.

How a study is made: `prevalence` draws the truth (`findings`). In `rendering`, `anatomy` draws a
body. `lungs`, `mediastinum`, `skeleton`, `vessels`, `opacities` and `devices` compute the path
length of the rays of a `camera` in each tissue, with the closed forms of `solids` and `tubes`.
`detector` turns attenuation into an image, and `radiograph` combines the steps. In `language`,
`grammar` writes the report from the phrases of `english` and `chinese`, and `parser` reads reports
and scores drafts. `dataset` enumerates cases, `dicom_study` writes them as DICOM, and `sheet` shows
them.

This package does not import torch, and uses no data of patients.
"""
