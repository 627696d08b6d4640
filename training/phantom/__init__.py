"""A thorax in three dimensions: radiographs with known findings, and reports that can be read back.

A study's way: `prevalence` draws the truth (`findings`); `anatomy` draws a body; `lungs`, `mediastinum`,
`skeleton`, `vessels`, `opacities` and `devices` say how far rays of a `camera` run in each tissue, by the
closed forms of `solids` and `tubes`; `detector` makes the image, `radiograph` puts it together. `grammar`
writes the report from the phrases of `english` and `chinese`, `parser` reads it back and scores drafts,
`vocabulary` has its words; `dataset` counts cases, `dicom_study` writes them for a node, `sheet` shows them.
No torch in here, and no real patient.
"""
