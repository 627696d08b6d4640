import pytest

from echo_node.report_text.report_sections import parse_report, section_of
from training.datasets.example import language_of, report_text

HOSPITAL = """
                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  History of cough.

 COMPARISON:  None.

 FINDINGS:

 PA and lateral views. The lungs are
 clear. No acute findings: the heart is normal.

 IMPRESSION:

 1. No pneumonia.
 RECOMMENDATION:  None.
"""


@pytest.mark.parametrize(
    ("text", "findings", "impression"),
    [
        (
            HOSPITAL,
            "PA and lateral views. The lungs are clear. No acute findings: the heart is normal.",
            "1. No pneumonia.",
        ),
        ("Findings: Clear. Impression: Normal.", "Clear.", "Normal."),
        ("FINDINGS\nClear.\nCONCLUSION\nNormal.", "Clear.", "Normal."),
        ("Findings: Clear.", "Clear.", ""),
        ("IMPRESSION: Normal.", "", "Normal."),
        ("Findings: One. Technique: PA. Findings: Two.", "One. Two.", ""),
        ("检查所见：两肺纹理清晰。 诊断意见：心肺未见异常。", "两肺纹理清晰。", "心肺未见异常。"),
        ("影像所见:\n右肺斑片影。\n印象:\n右肺炎症。\n报告医师：[NAME]", "右肺斑片影。", "右肺炎症。"),
        ("所见：肋骨骨折。结论：骨折。", "肋骨骨折。", "骨折。"),
        ("The lungs are clear.", "", ""),
        ("", "", ""),
    ],
)
def test_sections_are_found_by_their_headings(text: str, findings: str, impression: str) -> None:
    sections = parse_report(text)
    assert (sections.findings, sections.impression) == (findings, impression)


def test_names_of_sections() -> None:
    assert section_of("Impressions") == "impression"
    assert section_of(" findings ") == "findings"
    assert section_of("Technique") == section_of("Anything") == ""


def test_a_report_is_written_under_the_headings_that_the_node_reads() -> None:
    assert report_text("A\nb.", "C.") == "Findings: A b. Impression: C."
    assert report_text("", "C.") == "Impression: C."
    assert report_text("甲。", "乙。", "zh") == "所见：甲。结论：乙。"
    assert (language_of("心影"), language_of("heart")) == ("zh", "en")
