"""Phrases of the labeller: words for findings, and words that negate or hedge them.

Data only. The classes and the method (mention, negation, uncertainty) come from the CheXpert
labeller (Irvin et al. 2019) and from NegEx (Chapman et al. 2001). The lists are this project's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

NO_FINDING = "No Finding"
SUPPORT_DEVICES = "Support Devices"

FINDINGS: Mapping[str, str] = MappingProxyType(
    {
        "Enlarged Cardiomediastinum": (
            r"mediastinal (?:widening|enlargement)|cardiomediastinal enlargement"
            r"|widening of the (?:upper |superior )?mediastinum"
        ),
        "Cardiomegaly": r"cardiomegaly|cardiac enlargement|enlargement of the (?:heart|cardiac \w+)",
        "Lung Opacity": (
            r"opacit\w+|opacif\w+|(?:air-?\s?space|interstitial) (?:disease|shadowing|shadows)"
            r"|(?:dense |patchy )shadow(?:s|ing)?|infiltrat\w+"
            r"|(?:increased|prominent|coarse\w*) (?:interstitial|reticular|lung) markings"
            r"|reticulation|(?:lung|parenchymal|apical|interstitial) scarring|peribronchial (?:thickening"
            r"|cuffing)"
        ),
        "Lung Lesion": (
            r"(?:lung|pulmonary|hilar|perihilar|suprahilar|lobe|mediastinal|cavitary|spiculated) lesions?"
            r"|mass(?:es)?(?! effect)|nodul(?:es?|ar \w+)|neoplasm|carcinoma|tumou?rs?|metasta\w+|malignan\w+"
        ),
        "Edema": (
            r"o?edema|(?:vascular|pulmonary(?: venous)?|pulmonary vascular) (?:congestion|engorgement)"
            r"|(?:heart|cardiac) failure|chf|fluid overload|volume overload|kerley"
            r"|cephali[sz]ation|vascular redistribution"
        ),
        "Consolidation": r"consolidat\w+",
        "Pneumonia": r"pneumonias?|bronchopneumonia|infections?|infectious (?:process|infiltrate|etiology)",
        "Atelectasis": (
            r"atelecta\w+|(?:lung|lobe|lobar|segmental|complete|partial) collapse"
            r"|collapse of the (?:\w+ ){1,3}(?:lobe|lung)|(?:lobe|lung) (?:is|has) (?:\w+ )?collapsed"
        ),
        "Pneumothorax": (
            r"pneumothora(?:x|ces)|hydropneumothora\w+|ptx|pleural air"
            r"|air (?:\w+ ){1,4}(?:pleural space|apex of the (?:left |right )?lung)"
        ),
        "Pleural Effusion": (
            r"(?<!pericardial )effusions?|(?:pleural|subpulmonic|loculated) fluid|ha?emothorax|hydrothorax"
            r"|fluid (?:\w+ ){0,6}(?:pleural|costophrenic) (?:space|cavity|angle)s?"
            r"|(?:pleural|costophrenic) (?:spaces?|angles?) (?:\w+ ){1,5}fluid|hydropneumothora\w+"
        ),
        "Pleural Other": (
            r"(?:pleural|pleuro-?parenchymal|pleuro-?pericardial) (?:\w+ )?(?:thickening|plaques?|scar\w*"
            r"|calcifications?)"
            r"|fibrothorax|thickening of the pleura|pleural-based"
        ),
        "Fracture": r"fractur\w+|ribs? (?:\w+ ){1,4}broken",
        SUPPORT_DEVICES: (
            r"(?<!kerley )(?<!septal )(?<!pleural )(?<!fissure )(?<!paratracheal )(?<!kerley b )"
            r"lines?(?! of)"
            r"|tubes?|catheters?|picc|pacemakers?|pacers?|pacing (?:\w+ )?(?:leads?|wires?|hardware)|icds?"
            r"|aicds?|defibrillators?|(?:\w+ )?(?:pacer|pacemaker|icd) leads?|port-?a-?cath|mediport"
            r"|chest port"
            r"|(?:sternotomy|sternal) wires?|cerclage wires|surgical clips?|stents?|(?:prosthetic|mechanical"
            r"|artificial) (?:\w+ )?valves?|valve (?:replacement|prosthesis)|\bdrains?\b|pigtail|swan-?ganz"
            r"|balloon pump|iabp|intubat(?:ed|ion)|endotracheal|nasogastric|orogastric|tracheostomy"
            r"|support (?:devices?|apparatus)|(?:medical |monitoring )?devices?|hardware"
            r"|central (?:venous )?access|dobhoff|generators?|(?:atrial|ventricular) leads?"
        ),
    }
)
"""Words that state a finding unless they are negated; regular expressions for whole words."""

OTHER_ABNORMALITIES = (
    r"emphysema\w*|copd|hyperinflat\w+|hyperexpan\w+|lung volumes are increased|blunt\w+"
    r"|(?:hiatal|hiatus|diaphragmatic) hernia|scolio\w+"
    r"|kypho\w+|degenerat\w+|osteopeni\w+|osteophyt\w+|spondylo\w+|osteoarthr\w+|calcifi\w+"
    r"|atheroscler\w+|tortuo\w+"
    r"|granulomas?|granulomatous|bronchiect\w+|bronchitis|fibro(?:sis|tic)|scar\w*|bullae?|cavit\w+"
    r"|adenopathy"
    r"|lymphadenopathy|pneumomediastinum|pneumoperitoneum|subcutaneous (?:air|emphysema|gas)|aspiration"
    r"|pericardial effusion|(?:elevat\w+|eventrat\w+) (?:of the )?(?:\w+ )?(?:hemi)?diaphragm|contusion"
    r"|h[a]?ematoma|deformit\w+|dislocat\w+|volume loss|hypoinflat\w+|tuberculosis|thickening"
)
"""Abnormalities of the chest that are not one of the classes."""


@dataclass(frozen=True, slots=True)
class Structure:
    """Structure that reports describe by an adjective: `heart is enlarged`, `normal heart size`.

    Attributes:
        finding: class that the abnormal adjectives state.
        subject: names of the structure.
        abnormal: adjectives that state the finding.
        normal: adjectives that deny the finding.
    """

    finding: str
    subject: str
    abnormal: str
    normal: str


_NORMAL = (
    r"normal|unremarkable|within normal limits|not (?:enlarged|widened)|upper limits of normal|top.normal"
    r"|of normal size"
)

STRUCTURES = (
    Structure(
        "Cardiomegaly",
        r"heart(?! failure)(?: size)?|cardiac (?:silhouette|size|shadow|contours?|outline)",
        r"enlarged|enlargement|dilated|increased|globular|too large|prominent|wide(?:ned)?",
        _NORMAL,
    ),
    Structure(
        "Enlarged Cardiomediastinum",
        r"(?:cardio)?mediastin(?:um|al (?:and hilar )?(?:contours?|silhouette|borders?|structures?|width"
        r"|outline))",
        r"widened|widening|wide|enlarged|broadened|prominent",
        _NORMAL,
    ),
    Structure(
        "Lung Opacity",
        r"lungs?(?: fields?)?|lung parenchyma",
        r"opacified|whited out",
        r"clear(?! of)|well[- ]aerated",
    ),
    Structure("Consolidation", r"lobes?|zones?|lungs?", r"consolidated", r"clear(?! of)"),
)

UNCERTAIN_NEGATIONS = (
    r"(?:cannot|can ?not|can't|could not|not) (?:be |entirely |completely )*(?:excluded?|ruled out|rule out)"
    r"|not (?:be )?(?:entirely |completely )?(?:excluded|ruled out)|difficult to exclude"
    r"|no (?:definite|definitive) (?:change|correlate)"
)
"""Negated negations: the finding is possible. They count before and after the mention."""

HARMLESS_NEGATIONS = (
    r"no (?:\w+ ){0,2}(?:change|changes)\b(?: \w+)?|not (?:\w+ )?changed|not only|no (?:\w+ )?(?:increase"
    r"|decrease|improvement|worsening)"
    r"|without (?:\w+ ){0,2}change|not (?:\w+ )?(?:well )?(?:assessed|evaluated|included)"
)
"""Negations of something other than the finding that follows."""

NEGATIONS_BEFORE = (
    r"no|without|not|nor|neither|absence of|absent|negative for|free (?:of|from)|clear of|denies|lack of"
    r"|resolution of|resolved|rather than|removal of|(?:has|have) removed|excludes?"
)
NEGATIONS_AFTER = (
    r"(?:is|are|was|were|has|have)(?: been)?(?: now| since| \w+ly)? (?:not(?! (?:\w+ )?(?:changed"
    r"|increased|decreased|improved|worsened|resolved|cleared))|absent|excluded|ruled out|resolved"
    r"|cleared|removed|gone)"
    r"|not (?:\w+ )?(?:seen|identified|visuali[sz]ed|present|evident|appreciated|demonstrated|noted|shown"
    r"|detected)"
    r"|no longer|(?:has|have) (?:\w+ )?(?:resolved|cleared)|: (?:none|no|absent)|none(?: seen)?$|resolved$"
)
HEDGES_BEFORE = (
    r"possible|possibly|probable|probably|likely|suspected|suspicious for|suspicion (?:of|for)|suggest\w*"
    r"|questionable|question of|equivocal|(?:may|might|could|can) (?:be|represent|reflect|indicate|relate"
    r"|also|suggest)"
    r"(?: \w+)?|concern(?:ing|ed)? (?:for|of)|worrisome for|potential(?:ly)?|versus|vs|borderline|perhaps"
    r"|raises? the (?:possibility|question) of|differential (?:includes|diagnosis)|or possibly|apparent"
    r"|presumed"
)
HEDGES_AFTER = (
    r"(?:is|are|remains?) (?:also )?(?:possible|suspected|questioned|likely|probable|considered|not excluded)"
    r"|(?:may|might|could) (?:also )?be (?:present|considered|seen|there)|possible$|versus|vs"
)
MENTIONS_OF_NO_FINDING = (
    r"(?:history|hx) of|evaluat\w+ for|assess(?:ment)? for|rule out|r/o|to exclude|looking for|status post"
)
"""Phrases after which a mention is not a statement about the image."""
