"""Chinese phrases. Data. A full-width stop only ends a sentence, and no sentence is ambiguous."""
# ruff: noqa: RUF001 - full-width punctuation is how Chinese is written

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from types import MappingProxyType

from training.phantom.findings import FACTS, SIDES
from training.phantom.language.chinese_names import (
    ALARMS,
    AMOUNT,
    COLLAPSES,
    LEADS,
    LESION,
    LOBE,
    SIDE,
    ZONE,
    merged,
    phrases,
    site_name,
)
from training.phantom.language.phrasebook import Phrasebook, Values, Wordings, one_sided


def _filled(frames: Iterable[str], **words: str) -> tuple[str, ...]:
    return tuple(frame.format(**words) for frame in frames)


_DEVICES: dict[str, Wordings] = {
    "endotracheal_tube": {
        ("satisfactory",): (
            "气管插管位置满意，末端位于隆突上方。",
            "气管插管末端位于气管中段。",
            "可见气管插管，位置良好。",
            "患者已行气管插管，末端距隆突适中。",
        ),
        ("high",): (
            "气管插管位置偏高，末端位于锁骨上方。",
            "气管插管末端位于气管上段，位置过高。",
            "可见气管插管，末端仅达胸廓入口。",
            "气管插管末端距隆突过远。",
        ),
        ("right_bronchus",): (
            "气管插管进入右主支气管。",
            "气管插管末端位于右主支气管内。",
            "可见气管插管，末端越过隆突进入右侧。",
            "气管插管过深，误入右主支气管。",
        ),
    },
    "gastric_tube": {
        ("stomach",): (
            "胃管末端位于胃内。",
            "可见胃管，末端位于左膈下。",
            "胃管经食管进入胃腔。",
            "鼻胃管位置满意。",
        ),
        ("oesophagus",): (
            "胃管末端位于食管内，未达膈下。",
            "可见胃管，末端位于食管下段。",
            "鼻胃管未进入胃腔。",
            "胃管过短，末端止于膈上。",
        ),
        ("right_bronchus",): (
            "胃管误入气道，末端位于右肺下叶。",
            "可见胃管，末端位于右侧支气管内。",
            "鼻胃管误入右肺。",
            "胃管错位于右肺下叶支气管。",
        ),
    },
    "central_line": {
        (f"{side}_{tip}",): _filled(frames, side=SIDE[side])
        for side in SIDES
        for tip, frames in {
            "svc": (
                "{side}侧颈静脉置管末端位于上腔静脉。",
                "可见{side}侧中心静脉导管，位置良好。",
                "{side}侧中心静脉导管末端投影于上腔静脉。",
                "{side}颈部置管，末端达上腔静脉。",
            ),
            "atrium": (
                "{side}侧颈静脉置管末端深达右心房。",
                "可见{side}侧中心静脉导管，过深进入右心房。",
                "{side}侧中心静脉导管末端投影于右心房。",
                "{side}颈部置管，末端位于右心房内。",
            ),
        }.items()
    },
    "pacemaker": {
        (f"{side}_{leads}",): _filled(
            (
                "{side}侧胸壁可见{leads}起搏器。",
                "可见{side}侧{leads}心脏起搏器影。",
                "{leads}起搏器位于{side}上胸壁。",
                "{side}侧胸壁植入{leads}起搏装置。",
            ),
            side=SIDE[side],
            leads=LEADS[leads],
        )
        for side in SIDES
        for leads in ("single", "dual")
    },
}


def _consolidation() -> Wordings:
    wordings: dict[Values, tuple[str, ...]] = {}
    rights, lefts = FACTS["consolidation_right"], FACTS["consolidation_left"]
    for right, left in product(rights, lefts):
        sites = [site_name(s, v) for s, v in (("right", right), ("left", left)) if v != "none"]
        if len(sites) == 1:
            frames: tuple[str, ...] = (
                "{site}可见实变影。",
                "{site}见片状高密度影。",
                "{site}实变。",
                "{site}透亮度减低，呈实变改变。",
                "{site}内见边缘模糊的实变。",
            )
            wordings[right, left] = _filled(frames, site=sites[0])
        elif sites and right == left:
            frames = (
                "双肺{lobe}可见实变影。",
                "双肺{lobe}见片状高密度影。",
                "两肺{lobe}实变。",
                "两侧肺{lobe}均呈实变改变。",
            )
            wordings[right, left] = _filled(frames, lobe=LOBE[right])
        elif sites:
            frames = (
                "{one}及{other}可见实变影。",
                "{one}和{other}见片状高密度影。",
                "{one}、{other}实变。",
                "双肺多发实变，累及{one}及{other}。",
            )
            wordings[right, left] = _filled(frames, one=sites[0], other=sites[1])
    return wordings


def _atelectasis() -> Wordings:
    linear = (
        "{side}肺底见线状不张。",
        "{side}下肺野见盘状不张。",
        "{side}膈上见条带状不张影。",
        "{side}肺基底部可见亚段性不张。",
    )
    wordings: dict[Values, tuple[str, ...]] = {
        one_sided(side, "linear"): _filled(linear, side=SIDE[side]) for side in SIDES
    }
    wordings["linear", "linear"] = (
        "双肺底见线状不张。",
        "双下肺野见盘状不张。",
        "双侧膈上见条带状不张影。",
        "双肺基底部可见亚段性不张。",
    )
    wordings["upper_lobe", "none"] = (
        "右肺上叶不张。",
        "右肺上叶体积缩小，水平裂上移。",
        "右上叶肺不张，气管右移。",
        "右肺上叶密度增高伴体积缩小，提示不张。",
    )
    wordings["none", "lower_lobe"] = (
        "左肺下叶不张。",
        "左肺下叶体积缩小，心影后见三角形致密影。",
        "左下叶肺不张，左膈内侧显示不清。",
        "左肺下叶密度增高伴体积缩小，提示不张。",
    )
    for values in (("upper_lobe", "linear"), ("linear", "lower_lobe"), ("upper_lobe", "lower_lobe")):
        one, other = (
            COLLAPSES.get(value, f"{SIDE[side]}肺底线状不张")
            for side, value in zip(SIDES, values, strict=True)
        )
        frames = ("{one}，另见{other}。", "{one}及{other}。", "可见{one}和{other}。", "{one}，伴{other}。")
        wordings[values] = _filled(frames, one=one, other=other)
    return wordings


def _nodule() -> Wordings:
    wordings: dict[Values, tuple[str, ...]] = {}
    for value in FACTS["nodule"][1:]:
        side, zone, size = value.split("_")
        wordings[(value,)] = _filled(
            (
                "{side}{zone}见一{size}影。",
                "{side}{zone}可见类圆形{size}。",
                "{side}侧{zone}内见边界清楚的{size}。",
                "{side}{zone}有孤立性{size}影。",
            ),
            side=SIDE[side],
            zone=ZONE[zone],
            size=LESION[size],
        )
    return wordings


_LUNGS: dict[str, Wordings] = {
    "consolidation": _consolidation(),
    "atelectasis": _atelectasis(),
    "nodule": _nodule(),
    "oedema": {
        ("interstitial",): (
            "双肺间质性肺水肿，可见间隔线。",
            "肺血管增粗伴克氏B线，提示间质性水肿。",
            "双肺间质纹理增多，符合水肿。",
            "双肺小叶间隔增厚，肺淤血。",
        ),
        ("alveolar",): (
            "双肺门周围肺泡性肺水肿。",
            "双侧肺门旁片状影，提示肺泡性水肿。",
            "双肺呈蝶翼状阴影，符合肺泡性肺水肿。",
            "双肺门周围融合性水肿影。",
        ),
    },
    "hyperinflation": {
        ("present",): (
            "双肺过度充气，膈肌低平。",
            "双肺透亮度增高，肺气肿样改变。",
            "肺容积增大，双膈变平。",
            "双侧膈肌低平，提示肺过度充气。",
        )
    },
}


def _effusion() -> Wordings:
    single = (
        "{side}侧胸腔{size}积液。",
        "{side}侧可见{size}胸腔积液。",
        "{side}侧胸膜腔内见{size}液体。",
        "{size}积液位于{side}侧胸腔。",
    )
    same = (
        "双侧胸腔{size}积液。",
        "双侧可见{size}胸腔积液。",
        "两侧胸膜腔内见{size}液体。",
        "{size}积液见于两侧胸腔。",
    )
    different = (
        "双侧胸腔积液，右侧{right}，左侧{left}。",
        "右侧{right}及左侧{left}胸腔积液。",
        "两侧胸膜腔内见液体，右侧{right}，左侧{left}。",
        "双侧可见胸腔积液，右侧为{right}，左侧为{left}。",
    )
    wordings: dict[Values, tuple[str, ...]] = {
        ("none", "none"): (
            "未见胸腔积液。",
            "双侧胸腔无积液。",
            "双侧肋膈角锐利。",
            "胸膜腔内未见液体。",
        )
    }
    for size, words in AMOUNT.items():
        for side in SIDES:
            wordings[one_sided(side, size)] = _filled(single, side=SIDE[side], size=words)
        wordings[size, size] = _filled(same, size=words)
    for right, left in product(AMOUNT, AMOUNT):
        if right != left:
            wordings[right, left] = _filled(different, right=AMOUNT[right], left=AMOUNT[left])
    return wordings


_PLEURA: dict[str, Wordings] = {
    "effusion": _effusion(),
    "pneumothorax": {
        ("none", "none"): ("未见气胸。", "双侧无气胸征象。", "无气胸。", "胸膜腔内未见游离气体。"),
        **{
            one_sided(side, size): _filled(
                (
                    "{side}侧{size}气胸。",
                    "{side}侧可见{size}气胸。",
                    "{side}侧可见脏层胸膜线，为{size}气胸。",
                    "{side}侧胸膜腔内见{size}游离气体。",
                ),
                side=SIDE[side],
                size=AMOUNT[size],
            )
            for side in SIDES
            for size in ("small", "large")
        },
    },
}

_HEART: dict[str, Wordings] = {
    "heart": {
        ("normal",): ("心影大小正常。", "心脏大小未见异常。", "心影不大。", "心脏及纵隔轮廓正常。"),
        ("mildly_enlarged",): ("心影轻度增大。", "心脏轻度增大。", "心影稍大。", "心胸比轻度增大。"),
        ("markedly_enlarged",): ("心影明显增大。", "心脏显著增大。", "心影重度增大。", "心胸比明显增大。"),
    },
    "heart_AP": {
        ("normal",): (
            "考虑前后位投照，心影不大。",
            "床旁片示心影大小正常。",
            "前后位心影未见明显异常。",
            "就投照体位而言，心脏及纵隔轮廓正常。",
        ),
        ("mildly_enlarged",): (
            "考虑前后位投照，心影仍轻度增大。",
            "床旁片示心影轻度增大。",
            "前后位心影稍大。",
            "就投照体位而言，心脏轻度增大。",
        ),
        ("markedly_enlarged",): (
            "考虑前后位投照，心影仍明显增大。",
            "床旁片示心影明显增大。",
            "前后位心影重度增大。",
            "就投照体位而言，心脏显著增大。",
        ),
    },
}

_BONES: dict[str, Wordings] = {
    "rib_fracture": {
        ("none", "none"): ("胸廓诸骨完整。", "未见肋骨骨折。", "骨质未见急性异常。", "肋骨未见异常。"),
        **{
            one_sided(side, "present"): _filled(
                (
                    "{side}侧多发肋骨骨折，断端移位。",
                    "{side}侧数根肋骨骨折。",
                    "{side}侧肋骨可见移位性骨折。",
                    "{side}侧多根肋骨断裂。",
                ),
                side=SIDE[side],
            )
            for side in SIDES
        },
        ("present", "present"): (
            "双侧多发肋骨骨折，断端移位。",
            "两侧数根肋骨骨折。",
            "双侧肋骨可见移位性骨折。",
            "两侧多根肋骨断裂。",
        ),
    }
}

CHINESE = Phrasebook(
    findings_header="所见：",
    impression_header="结论：",
    normal=MappingProxyType(
        {
            "devices": (
                "未见管路及植入装置。",
                "胸部未见置管。",
                "未见导管或起搏装置。",
                "投照野内无医疗装置。",
            ),
            "lungs": (
                "双肺清晰。",
                "双肺野透亮度正常。",
                "双肺未见局灶性异常。",
                "双肺未见实变或结节。",
            ),
            "pleura": (
                "未见胸腔积液或气胸。",
                "双侧胸腔无积液及积气。",
                "双侧胸膜腔未见异常。",
                "胸膜腔内未见积液积气。",
            ),
        }
    ),
    rest=MappingProxyType(
        {
            "devices": ("未见其他管路。", "余未见植入装置。", "无其他医疗装置。", "其余导管未见。"),
            "lungs": ("余肺野清晰。", "双肺其余部分未见异常。", "其余肺组织清晰。", "肺内未见其他异常。"),
        }
    ),
    topics=MappingProxyType({**_DEVICES, **_LUNGS, **_PLEURA, **_HEART, **_BONES}),
    phrases=MappingProxyType(phrases()),
    merged=MappingProxyType(merged()),
    alarms=MappingProxyType(ALARMS),
    frames=("{0}。", "可见{0}。", "考虑{0}。", "影像提示{0}。"),
    normal_impressions=(
        "未见急性异常。",
        "心肺未见急性病变。",
        "胸片未见急性病变征象。",
        "心肺未见异常。",
    ),
    joint="",
)
"""Chinese phrasebook."""
