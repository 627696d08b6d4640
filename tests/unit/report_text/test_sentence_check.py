"""The sentence check finds what garbled decoding leaves in a sentence, and passes real style."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_node.report_text.draft_sections import split_sections
from echo_node.report_text.english_words import EnglishWords, english_words
from echo_node.report_text.sentence_check import doubtful_sentences, why_doubtful
from echo_node.report_text.sentence_rules import RULES
from training.phantom.dataset import PhantomDataset

CAPITAL = "a capital that begins no name"
REPEATED = "repeated words"
END = "an end in the middle of a phrase"
BROKEN = "a word that is cut off or glued to another"
PAIR = "two words that cannot follow one another"
NO_NOUN = "an article without a noun"
THERE = "'there' without a verb"
CLAUSES = "two clauses without a conjunction"
MARKS = "two punctuation marks in a row"

SOUND = [
    "No pneumothorax.",
    "Lungs clear.",
    "Heart size normal, lungs clear.",
    "Clear.",
    "1. No acute disease.",
    "Right IJ Swan-Ganz catheter with tip in the main pulmonary artery.",
    "There are Kerley B and Kerley A lines at both bases.",
    "A left PICC ends in the SVC, and a Dobhoff tube is in the stomach.",
    "Mild wedging of T8, L1 and the T11-T12 disc space is unchanged.",
    "The Hickman line and the Port-A-Cath are in good position.",
    "Cobb angle of 32 degrees; Harrington rods are in place.",
    "Hill-Sachs deformity of the right shoulder, Bochdalek hernia on the left.",
    "Compared with the study of 3 March and with that of May 2019, no change.",
    "Known hepatitis A and type A dissection, treated by Dr. Miller.",
    "Lungs: Clear. Heart: Normal in size.",
    "The ET tube is 4.5 cm above the carina, the NG tube is in the stomach.",
    "NO ACUTE DISEASE OF THE CHEST.",
    "No Acute Cardiopulmonary Disease",
    "The patient had had a lobectomy, and we note that that lobe is absent.",
    "Opacity on the left, left lower lobe most likely.",
    "Very, very small effusion.",
    "What is seen is an artefact.",
    "As no earlier images are available comparison is not possible.",
    "Small effusions on the right and on the left, with and without fluid in the fissure.",
    "The tube was pulled back and the tip is where it should be.",
    "Sternal wires are intact; the upper two are broken.",
    "A small to moderate left and a large right effusion are seen.",
    "The tube that was described as too high is now in.",
    "There may again be a nodule; nor is there an effusion.",
    "Air under the right hemidiaphragm the width of which has not changed.",
    "Opacities at the bases may well be atelectasis, and could represent pneumonia.",
    "It is felt this is chronic.",
    "pH and pCO2 were not given, and mmHg is wrong.",
    "Follow-up in 4 to 6 weeks is recommended to document resolution.",
    "Lines and tubes as above.",
    "Correlate clinically.",
]  # fmt: skip

UNSOUND = [
    ("A small effusion is present on There right.", CAPITAL),
    ("The heart is normal in The bones are intact.", CAPITAL),
    ("There is no Pleural effusion.", CAPITAL),
    ("The lungs are clear No effusion is seen.", CAPITAL),
    ("There is A small nodule in the left lung.", CAPITAL),
    ("The lungs lungs are clear.", REPEATED),
    ("The lung lungs are clear.", REPEATED),
    ("A right pleural effusion pleural effusion is seen.", REPEATED),
    ("There is a large a large nodule.", REPEATED),
    ("There is an opacity in the", END),
    ("The heart size is.", END),
    ("A nodule in the left lung and.", END),
    ("A small left pleural.", END),
    ("The opacity may.", END),
    ("Opacities are consistent.", END),
    ("Cardiomegaly in keeping.", END),
    ("There is no pneumoth.", BROKEN),
    ("The endotrach tube ends above the carina.", BROKEN),
    ("A nodulnodule is seen.", BROKEN),
    ("There is a pneumothoraxThe heart is normal.", BROKEN),
    ("The is enlarged.", PAIR),
    ("The heart is are normal.", PAIR),
    ("A nodule in of the lung.", PAIR),
    ("The heart is suggests failure.", PAIR),
    ("The opacity may pneumonia.", PAIR),
    ("A moderate pleural the right.", PAIR),
    ("Nodules of is seen.", PAIR),
    ("No the effusion.", PAIR),
    ("The consolidation pleural on the left.", PAIR),
    ("A moderate is seen on the left.", NO_NOUN),
    ("There is a small.", NO_NOUN),
    ("There is no acute.", NO_NOUN),
    ("There lungs are clear.", THERE),
    ("There right lower lobe.", THERE),
    ("There is seen.", THERE),
    ("The heart is normal lungs are clear.", CLAUSES),
    ("No effusion the lungs are clear.", CLAUSES),
    ("There is cardiomegaly there is an effusion.", CLAUSES),
    ("The edge is.. for the heart.", MARKS),
    ("No nodule,, mass or effusion is seen.", MARKS),
]  # fmt: skip


@pytest.mark.parametrize("text", SOUND)
def test_a_sentence_as_people_write_it_is_sound(text: str) -> None:
    assert why_doubtful(text, "en") is None


@pytest.mark.parametrize(("text", "reason"), UNSOUND)
def test_a_garbled_sentence_is_doubtful(text: str, reason: str) -> None:
    assert why_doubtful(text, "en") == reason


def test_each_rule_has_an_example() -> None:
    assert {reason for _, reason in UNSOUND} == set(RULES)


def test_the_doubtful_sentence_is_returned_with_its_place() -> None:
    text = (
        "Findings: The lungs are clear. It is present on There right. Impression: No effusion. The heart is."
    )
    found = doubtful_sentences(split_sections(text), "en-GB")
    assert [(each.span.text, each.reason) for each in found] == [
        ("It is present on There right.", CAPITAL),
        ("The heart is.", END),
    ]
    assert [text[each.span.start : each.span.end] for each in found] == [each.span.text for each in found]


@pytest.mark.parametrize("language", ["de", "zh-Hans", ""])
def test_other_languages_pass(language: str) -> None:
    assert why_doubtful("Der Herzschatten ist Ist normal normal", language) is None


def test_a_blanked_word_is_any_word() -> None:
    assert why_doubtful("The XXXX XXXX is XXXX The heart is normal in XXXX.", "en") is None


def test_the_reports_of_phantoms_are_sound() -> None:
    dataset = PhantomDataset(300, seed=4)
    for index in range(300):
        text = dataset.truth(index)[1].text
        assert doubtful_sentences(split_sections(text), "en") == (), text


def test_a_hospital_can_add_a_name() -> None:
    words = english_words()
    assert {"may", "port"} <= words.names
    assert all(getattr(words, each.name) for each in fields(EnglishWords))


@given(st.text())
def test_any_text_is_judged(text: str) -> None:
    assert why_doubtful(text, "en") in {None, *RULES}
