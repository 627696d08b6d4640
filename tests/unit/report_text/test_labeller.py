import pytest

from echo_node.report_text.labeller import CLASSES, is_abnormal, label, positives, sentences
from training.phantom.findings import FACTS, REGIONS, kind_of
from training.phantom.language.parser import REST, Statements, finding_sentences

SHORT = {
    "ecm": "Enlarged Cardiomediastinum",
    "heart": "Cardiomegaly",
    "opacity": "Lung Opacity",
    "lesion": "Lung Lesion",
    "edema": "Edema",
    "consolidation": "Consolidation",
    "pneumonia": "Pneumonia",
    "atelectasis": "Atelectasis",
    "ptx": "Pneumothorax",
    "effusion": "Pleural Effusion",
    "pleura": "Pleural Other",
    "fracture": "Fracture",
    "device": "Support Devices",
}
SIGNS = {"+": "positive", "-": "negative", "?": "uncertain"}

TABLE = """
No pneumothorax. | ptx-
There is no pleural effusion or pneumothorax. | effusion- ptx-
No focal consolidation, pleural effusion, or pneumothorax is seen. | consolidation- effusion- ptx-
No evidence of pneumonia. | pneumonia-
Without evidence of edema. | edema-
The lungs are free of consolidation. | consolidation-
Negative for pneumothorax or effusion. | ptx- effusion-
Neither effusion nor pneumothorax is seen. | effusion- ptx-
No pneumothorax, large effusion, or focal consolidation. | ptx- effusion- consolidation-
Pleural effusion is not seen. | effusion-
Pneumothorax is no longer seen. | ptx-
Pneumothorax: none. | ptx-
The right pneumothorax has resolved. | ptx-
Interval resolution of the left pleural effusion. | effusion-
Previously seen pneumonia has cleared. | pneumonia-
No new consolidation. | consolidation-
No definite fracture is identified. | fracture-
Absence of pneumothorax. | ptx-
The endotracheal tube has been removed. | device-
Interval removal of the right chest tube. | device-
No displaced rib fracture. | fracture-
There is no acute fracture or pneumothorax. | fracture- ptx-
No lines or tubes. | device-
There is a small left pleural effusion. | effusion+
Small bilateral pleural effusions with adjacent atelectasis. | effusion+ atelectasis+
Moderate cardiomegaly. | heart+
The heart is mildly enlarged. | heart+
Heart size is at the upper limits of normal. | heart-
The cardiac silhouette is enlarged. | heart+
Enlarged heart. | heart+
Normal heart size. | heart-
The heart is not enlarged. | heart-
Heart size and mediastinal contours are normal. | heart- ecm-
The cardiomediastinal silhouette is unremarkable. | ecm-
The mediastinum is widened. | ecm+
Widening of the superior mediastinum. | ecm+
Right lower lobe consolidation. | consolidation+
Patchy opacity at the left base. | opacity+
Bibasilar opacities. | opacity+
There is airspace disease in the right upper lobe. | opacity+
A 12 mm nodule projects over the right upper lobe. | lesion+
No suspicious nodule or mass. | lesion-
Large left hilar mass. | lesion+
Mild mass effect upon the trachea. |
Mild pulmonary edema. | edema+
Pulmonary vascular congestion without overt edema. | edema+
Congestive heart failure. | edema+
Pulmonary oedema has improved. | edema+
Left retrocardiac atelectasis. | atelectasis+
Linear atelectasis at the right base; no consolidation. | atelectasis+ consolidation-
Collapse of the right middle lobe. | atelectasis+
Tiny right apical pneumothorax. | ptx+
Stable moderate right pneumothorax. | ptx+
Biapical pleural thickening. | pleura+
Calcified pleural plaques. | pleura+
No pleural thickening. | pleura-
Old healed left rib fractures. | fracture+
A fracture of the right clavicle is present. | fracture+
A left chest wall pacemaker is in place. | device+
The nasogastric tube ends in the stomach. | device+
Right PICC with its tip in the superior vena cava. | device+
Median sternotomy wires are intact. | device+
The patient is intubated. | device+
Kerley B lines are seen. | edema+
The trachea is midline. |
Possible pneumonia. | pneumonia?
Opacity at the right base may represent pneumonia. | opacity+ pneumonia?
Pneumonia cannot be excluded. | pneumonia?
Small effusion is not excluded. | effusion?
Cannot exclude a small pneumothorax. | ptx?
Findings suspicious for pneumonia. | pneumonia?
Findings suggest mild edema. | edema?
Probable left lower lobe atelectasis. | atelectasis?
A small left effusion may be present. | effusion?
Borderline cardiomegaly. | heart?
Left basilar opacity, atelectasis versus pneumonia. | opacity+ atelectasis? pneumonia?
Concerning for infection. | pneumonia?
Questionable nodule in the left upper lobe. | lesion?
A small right effusion is suspected. | effusion?
No pneumothorax but a small effusion. | ptx- effusion+
No pneumothorax, small left effusion. | ptx- effusion+
No consolidation; moderate right effusion. | consolidation- effusion+
No pneumothorax is seen and the heart is enlarged. | ptx- heart+
Although no pneumothorax is seen, there is a large effusion. | ptx- effusion+
No abnormality other than a small right effusion. | effusion+
The lungs are clear except for left basilar atelectasis. | opacity- consolidation- atelectasis+
The heart is large and the lungs are clear, no effusion is seen. | opacity- consolidation- effusion-
No significant change in the moderate left effusion. | effusion+
No interval change in cardiomegaly. | heart+
Unchanged right pneumothorax. | ptx+
Effusion has not changed. | effusion+
Evaluate for pneumonia. |
History of pneumonia. |
Rule out pneumothorax. |
No pericardial effusion. |
There is no right pleural effusion, but the left effusion has increased. | effusion+
1. Small effusion. 2. No pneumothorax. | effusion+ ptx-
There has been no improvement of the edema. | edema+
Stable cardiomegaly without pulmonary edema. | heart+ edema-
Cardiomegaly with mild edema and no effusion. | heart+ edema+ effusion-
Clear lungs. | opacity- consolidation-
Prominent interstitial markings. | opacity+
Hydropneumothorax on the left. | ptx+ effusion+
The right costophrenic angle is blunted by fluid. | effusion+
Right chest tube in place, no pneumothorax. | device+ ptx-
"""
ROWS = [line.split("|") for line in TABLE.strip().splitlines()]


@pytest.mark.parametrize(("sentence", "expected"), [(s.strip(), e.split()) for s, e in ROWS])
def test_a_sentence_is_labelled_as_a_reader_would(sentence: str, expected: list[str]) -> None:
    stated = {SHORT[each[:-1]]: SIGNS[each[-1]] for each in expected}
    found = {name: status for name, status in label(sentence).items() if status and name != "No Finding"}
    assert found == stated


def test_all_14_classes_are_answered() -> None:
    assert tuple(label("")) == CLASSES
    assert len(CLASSES) == 14
    assert set(label("").values()) == {None}


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("No acute cardiopulmonary process.", "positive"),
        ("The lungs are clear. A pacemaker is in place.", "positive"),
        ("Small left effusion.", None),
        ("Possible pneumonia.", None),
        ("Emphysema.", None),
        ("No evidence of emphysema.", "positive"),
    ],
)
def test_no_finding_means_that_nothing_but_devices_is_stated(text: str, status: str | None) -> None:
    assert label(text)["No Finding"] == status


def test_a_positive_mention_outweighs_others() -> None:
    text = "No effusion on the right. Possible effusion. Small left effusion. No effusion elsewhere."
    assert label(text)["Pleural Effusion"] == "positive"
    assert label("No effusion on the right. Possible left effusion.")["Pleural Effusion"] == "uncertain"


def test_negation_ends_with_its_sentence() -> None:
    assert positives("No pneumothorax. Consolidation on the left.") == {"Consolidation"}


def test_lines_broken_in_a_sentence_do_not_end_it() -> None:
    assert label("There is no\nfocal consolidation or\n  pleural effusion.")["Pleural Effusion"] == "negative"
    assert sentences("- No effusion\n- Small nodule\n\n2. Clear.") == [
        "- No effusion",
        "- Small nodule",
        "2. Clear.",
    ]


def test_what_is_abnormal_without_a_class() -> None:
    assert is_abnormal("There is scoliosis.")
    assert not is_abnormal("No scoliosis.")
    assert not is_abnormal("")


PHANTOM_CLASSES = {
    "endotracheal_tube": {"Support Devices"},
    "gastric_tube": {"Support Devices"},
    "central_line": {"Support Devices"},
    "pacemaker": {"Support Devices"},
    "consolidation": {"Consolidation", "Lung Opacity"},
    "atelectasis": {"Atelectasis"},
    "nodule": {"Lung Lesion"},
    "oedema": {"Edema"},
    "effusion": {"Pleural Effusion"},
    "pneumothorax": {"Pneumothorax"},
    "cardiomegaly": {"Cardiomegaly"},
    "rib_fracture": {"Fracture"},
}


@pytest.mark.parametrize(("sentence", "stated"), finding_sentences("en").items())
def test_every_sentence_of_the_phantoms_is_understood(sentence: str, stated: Statements) -> None:
    named = [(fact, value) for fact, value in stated if value != REST]
    abnormal = {kind_of(fact) for fact, value in named if value != FACTS[fact][0]}
    assert is_abnormal(sentence) is bool(abnormal - set(REGIONS["devices"]))
    found = positives(sentence) - {"No Finding"}
    expected = [PHANTOM_CLASSES[kind] for kind in abnormal - {"hyperinflation"}]
    assert all(found & classes for classes in expected)
    assert found <= {"Lung Opacity"}.union(*expected)
