"""Chinese impressions: names of findings and sentences about malpositions. Data."""
# ruff: noqa: RUF001 - full-width punctuation is how Chinese is written

from __future__ import annotations

from itertools import product

from training.phantom.findings import FACTS, SIDES
from training.phantom.language.phrasebook import NounPhrase, Statement, Values, one_sided

SIDE = {"right": "右", "left": "左"}
LOBE = {"upper": "上叶", "middle": "中叶", "lower": "下叶", "lingula": "舌段"}
ZONE = {"upper": "上肺野", "middle": "中肺野", "lower": "下肺野"}
LESION = {"nodule": "结节", "mass": "肿块"}
AMOUNT = {"small": "少量", "moderate": "中量", "large": "大量"}
OEDEMA = {"interstitial": "间质性", "alveolar": "肺泡性"}
DEGREE = {"mild": "轻度", "marked": "明显"}
LEADS = {"single": "单腔", "dual": "双腔"}

COLLAPSES = {"upper_lobe": "右肺上叶不张", "lower_lobe": "左肺下叶不张"}


def site_name(side: str, lobe: str) -> str:
    """Return the name of a lobe."""
    return f"{SIDE[side]}肺{LOBE[lobe]}"


ALARMS: dict[Statement, tuple[str, ...]] = {
    ("endotracheal_tube", "high"): ("气管插管应适当推进。", "气管插管过高，建议推进。"),
    ("endotracheal_tube", "right_bronchus"): (
        "气管插管误入右主支气管，应后撤。",
        "右主支气管插管，建议后撤导管。",
    ),
    ("gastric_tube", "oesophagus"): ("胃管末端位于食管，应推进。", "胃管过短，建议推进。"),
    ("gastric_tube", "right_bronchus"): ("胃管误入右肺，须立即拔除。", "胃管错位于右侧支气管，建议拔除。"),
    **{
        ("central_line", f"{side}_atrium"): (
            f"{SIDE[side]}侧中心静脉导管进入右心房，应后撤。",
            f"{SIDE[side]}侧中心静脉导管过深，建议后撤。",
        )
        for side in SIDES
    },
}


def _nouns(*texts: str) -> tuple[NounPhrase, ...]:
    return tuple(NounPhrase(text) for text in texts)


def phrases() -> dict[tuple[str, Values], tuple[NounPhrase, ...]]:
    """Return the noun phrases for each (topic, values)."""
    named: dict[tuple[str, Values], tuple[NounPhrase, ...]] = {}
    for right, left in product(FACTS["consolidation_right"], FACTS["consolidation_left"]):
        sites = [site_name(s, v) for s, v in (("right", right), ("left", left)) if v != "none"]
        if not sites:
            continue
        if len(sites) == 1:
            words = _nouns(f"{sites[0]}实变", f"{sites[0]}炎性实变")
        elif right == left:
            words = _nouns(f"双肺{LOBE[right]}实变", f"两肺{LOBE[right]}炎性实变")
        else:
            words = _nouns(f"{sites[0]}与{sites[1]}实变", f"双肺多发实变（{sites[0]}与{sites[1]}）")
        named["consolidation", (right, left)] = words
    for values in product(FACTS["atelectasis_right"], FACTS["atelectasis_left"]):
        parts = [
            COLLAPSES.get(value, f"{SIDE[side]}肺底线状不张")
            for side, value in zip(SIDES, values, strict=True)
            if value != "none"
        ]
        if not parts:
            continue
        named["atelectasis", values] = _nouns("与".join(parts))
    named["atelectasis", ("linear", "linear")] = _nouns("双肺底线状不张", "双肺底盘状不张")
    for value in FACTS["nodule"][1:]:
        side, zone, size = value.split("_")
        where, what = f"{SIDE[side]}{ZONE[zone]}", LESION[size]
        named["nodule", (value,)] = _nouns(f"{where}{what}", f"{where}孤立性{what}")
    for kind, adjective in OEDEMA.items():
        named["oedema", (kind,)] = _nouns(f"{adjective}肺水肿", f"双肺{adjective}水肿")
    named["hyperinflation", ("present",)] = _nouns("肺过度充气", "双肺过度充气")
    for size, amount in AMOUNT.items():
        for side in SIDES:
            where = SIDE[side]
            named["effusion", one_sided(side, size)] = _nouns(
                f"{where}侧{amount}积液", f"{where}侧胸腔{amount}积液"
            )
        named["effusion", (size, size)] = _nouns(f"双侧{amount}积液", f"双侧胸腔{amount}积液")
    for right, left in product(AMOUNT, AMOUNT):
        if right != left:
            named["effusion", (right, left)] = _nouns(
                f"右侧{AMOUNT[right]}与左侧{AMOUNT[left]}积液",
                f"双侧胸腔积液（右侧{AMOUNT[right]}而左侧{AMOUNT[left]}）",
            )
    for size, side in product(("small", "large"), SIDES):
        where, amount = SIDE[side], AMOUNT[size]
        named["pneumothorax", one_sided(side, size)] = _nouns(
            f"{where}侧{amount}气胸", f"{where}侧气胸（{amount}）"
        )
    for degree, much in DEGREE.items():
        named["heart", (f"{degree}ly_enlarged",)] = _nouns(f"心影{much}增大", f"心脏{much}增大")
    for side in SIDES:
        words = _nouns(f"{SIDE[side]}侧肋骨骨折", f"{SIDE[side]}侧多发肋骨骨折")
        named["rib_fracture", one_sided(side, "present")] = words
    named["rib_fracture", ("present", "present")] = _nouns("双侧肋骨骨折", "双侧多发肋骨骨折")
    return named


def merged() -> dict[tuple[str, Values, str, Values], tuple[NounPhrase, ...]]:
    """Return the noun phrases for two topics with their values."""
    named: dict[tuple[str, Values, str, Values], tuple[NounPhrase, ...]] = {}
    for side in SIDES:
        for size in ("small", "large"):
            key = ("pneumothorax", one_sided(side, size), "rib_fracture", one_sided(side, "present"))
            where, amount = SIDE[side], AMOUNT[size]
            named[key] = _nouns(
                f"{where}侧{amount}气胸合并同侧肋骨骨折", f"{where}侧肋骨骨折并发{amount}气胸"
            )
        for lobe, size in product(FACTS[f"consolidation_{side}"][1:], AMOUNT):
            pair = ("consolidation", one_sided(side, lobe), "effusion", one_sided(side, size))
            site, amount = site_name(side, lobe), AMOUNT[size]
            named[pair] = _nouns(f"{site}肺炎合并{amount}胸腔积液", f"{site}实变合并同侧{amount}积液")
    for (kind, words), (degree, much) in product(OEDEMA.items(), DEGREE.items()):
        named["oedema", (kind,), "heart", (f"{degree}ly_enlarged",)] = _nouns(
            f"{words}肺水肿合并心影{much}增大提示心力衰竭", f"心力衰竭改变（心影{much}增大合并{words}肺水肿）"
        )
    return named
