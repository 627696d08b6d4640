"""A prior is named and not compared; sentences that compare are known by their words."""

import pytest

from echo_node.domain.drafts.comparison import Comparison, PriorStudy, speaks_of_comparison
from echo_node.domain.drafts.fixed_texts import words_of
from training.phantom.dicom_study import study_truth

PRIOR = PriorStudy("1.2.3", "20260304", ("PA",))


def test_a_prior_is_named_and_said_not_to_be_compared() -> None:
    (said,) = Comparison("ARCHIVE", 10, PRIOR).paragraphs()
    assert said == (
        "Comparison: a prior chest radiograph of 2026-03-04 (PA) exists in ARCHIVE; the program did not read "
        "it and compared nothing with it. Study Instance UID: 1.2.3"
    )
    unseen = Comparison("ARCHIVE", 10, PriorStudy("1.2.3", "20260304"))
    assert "radiograph of 2026-03-04 exists" in unseen.paragraphs()[0]


@pytest.mark.parametrize(("years", "words"), [(1, "the last year"), (5, "the last 5 years")])
def test_where_none_was_found_it_is_said_where_and_how_far_back(years: int, words: str) -> None:
    (said,) = Comparison("ARCHIVE", years).paragraphs()
    assert said == f"Comparison: no prior chest radiograph of {words} was found in ARCHIVE."


def test_what_could_not_be_looked_up_is_not_said_to_be_absent() -> None:
    failed = Comparison("ARCHIVE", 10, obstacle="it did not answer in time")
    (said,) = failed.paragraphs()
    assert said == (
        "Comparison: priors could not be looked up in ARCHIVE: it did not answer in time. "
        "Whether there are any is not known."
    )
    assert [each.outcome for each in (failed, Comparison("A", 1), Comparison("A", 1, PRIOR))] == [
        "not looked up", "none", "found",
    ]  # fmt: skip


def test_what_was_left_out_is_counted() -> None:
    name, born = "the patient's name differs", "the patient's birth date differs"
    said = Comparison("ARCHIVE", 10, PRIOR, 1, (name, born, name)).paragraphs()
    part = "of which it does not say what part of the body it shows"
    assert said[1:] == (
        f"ARCHIVE has 1 earlier radiograph of this patient {part}.",
        f"Left out, 2 earlier studies under the same patient ID: {name}.",
        f"Left out, 1 earlier study under the same patient ID: {born}.",
    )
    assert all("ARCHIVE" in each for each in Comparison("ARCHIVE", 10, PRIOR, 2).paragraphs(words_of("zh")))
    assert "has 2 earlier radiographs" in Comparison("ARCHIVE", 10, None, 2).paragraphs()[1]


@pytest.mark.parametrize(
    "sentence",
    [
        "Unchanged since the last study.",
        "The effusion is stable.",
        "No interval change.",
        "There is a new opacity in the left lower lobe.",
        "Compared to the prior radiograph, the edema has improved.",
        "The heart remains enlarged.",
        "Previously seen nodule is no longer visible.",
        "The pneumothorax has slightly increased.",
        "Persistent right effusion.",
        "No significant change.",
        "Worsening consolidation.",
        "Seen on earlier chest CT.",
        "左侧胸腔积液较前增多。",
        "与前片比较无明显变化。",
        "右肺新发实变影。",
        "前回と比較して著変なし。",
        "胸水は増悪している。",
        "Unveränderter Befund.",
        "Der Erguss ist rückläufig im Vergleich zur Voraufnahme.",
        "Cœur inchangé par rapport au cliché précédent.",
        "Sin cambios respecto al estudio previo.",
        "لا يوجد تغير بالمقارنة مع الصورة السابقة.",
    ],
)
def test_words_of_comparison_are_known(sentence: str) -> None:
    assert speaks_of_comparison(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "The lungs are clear.",
        "The remaining lung is clear.",
        "Increased interstitial markings.",
        "Decreased lung volumes.",
        "Changes of prior median sternotomy.",
        "Old healed rib fractures.",
        "Follow-up radiograph in six weeks is recommended.",
        "Degenerative changes of the spine.",
        "心影增大，心胸比约0.58。",
        "使用对比剂后。",
        "比較的小さな結節。",
        "建议复查。",
        "Der Herzschatten ist verbreitert.",
        "",
    ],
)
def test_findings_of_one_image_are_not_taken_for_comparisons(sentence: str) -> None:
    assert not speaks_of_comparison(sentence)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_report_of_a_phantom_compares(language: str) -> None:
    for seed in range(300):
        _, report = study_truth(seed, language)  # type: ignore[arg-type]
        assert not speaks_of_comparison(str(report)), (seed, report)
