"""The node's own words in a draft, next to the model's, in the languages that it knows.

They are defined here and nowhere else. Other languages fall back to English, and the notices appear
in English too, regardless of the language. The banner and the series description are in English
only (domain/drafts/draft.py). The Chinese words were not reviewed by a radiologist who is a native
speaker.
"""
# ruff: noqa: RUF001 - full-width punctuation is how Chinese is written

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """The node's words in one language. Names in braces are placeholders.

    Attributes:
        draft_notice: notice that no one has verified the text.
        demonstration_notice: notice that the model must not be used on patients.
        unsure_mark: mark before a sentence of low confidence.
        moderate: {sentence} of moderate confidence.
        high: {sentence} of high confidence.
        no_findings: statement that the model wrote no findings.
        no_impression: statement that the model wrote no impression.
        images_read: images that were read: {count}, {views}.
        frontal: name of a frontal view that may be PA or AP.
        written_by: origin of the text: {program}, {model}.
        not_read: images left unread: {count}, {reason} in English, {uids}.
        not_read_one: one image left unread, as `not_read`.
        unstated_orientation: remark that the header does not state which side is left.
        ignored_values: remark that values of {keywords} were ignored, shortened or left out.
        recognised_view: remark that the view was recognised from the pixels.
        recognised_body_part: remark that the body part was recognised from the pixels.
        looks_doubtful: remark that the pixels may not show an upright frontal chest.
        companion: remark that no standard image was available.
        looks_mirrored: remark that the heart seems to be on the patient's right.
        repaired_text: remark that texts were read in another character set than stated.
        unreadable_text: remark that a text is left out because it cannot be read.
        other_display: remark that another stated window or look-up table was used.
        range_displayed: remark that the range of the values was displayed.
        padding_ignored: remark that the padding value was ignored.
        garbled_mark: mark before a sentence whose wording may be garbled.
        garbled: statement that {count} sentences have this {mark}.
        garbled_one: statement that one sentence has this {mark}.
        uncompared_mark: mark before a sentence that speaks of a comparison.
        uncompared: statement that {count} sentences have this {mark}.
        uncompared_one: statement that one sentence has this {mark}.
        prior_found: a prior exists: {date}, {views} (may be empty), {archive}, {uid}.
        prior_views: the {views} of a prior, as part of `prior_found`.
        prior_none: no prior was found: {years}, {archive}.
        prior_none_one: no prior of the last year was found: {archive}.
        prior_unknown: the search failed: {archive}, {obstacle} in English.
        priors_undescribed: {count} earlier radiographs of an unknown body part in {archive}.
        priors_undescribed_one: one such radiograph in {archive}.
        priors_left_out: {count} earlier studies left out, for a {reason} in English.
        priors_left_out_one: one earlier study left out, for a {reason} in English.
        summary: heading of a page's section.
        priors: heading of a page's section.
        findings: heading of a page's section.
        impressions: heading of a page's section.
        procedure: heading of a page's section.
        patient: line with the patient's {names}.
        no_name: text of that line if the image states no name.
        patient_id: label of the patient ID.
        born: label of the birth date.
        sex: label of DICOM's code of the sex.
        study: label of the study's date.
        accession: label of the accession number.
        drafted: label of the time at which the draft was made.
        not_stated: text after a label if the image does not state the value.
        missing_note: explanation of the {box} for a missing character.
    """

    draft_notice: str
    demonstration_notice: str
    unsure_mark: str
    moderate: str
    high: str
    no_findings: str
    no_impression: str
    images_read: str
    frontal: str
    written_by: str
    not_read: str
    not_read_one: str
    unstated_orientation: str
    ignored_values: str
    recognised_view: str
    recognised_body_part: str
    looks_doubtful: str
    companion: str
    looks_mirrored: str
    repaired_text: str
    unreadable_text: str
    other_display: str
    range_displayed: str
    padding_ignored: str
    garbled_mark: str
    garbled: str
    garbled_one: str
    uncompared_mark: str
    uncompared: str
    uncompared_one: str
    prior_found: str
    prior_views: str
    prior_none: str
    prior_none_one: str
    prior_unknown: str
    priors_undescribed: str
    priors_undescribed_one: str
    priors_left_out: str
    priors_left_out_one: str
    summary: str
    priors: str
    findings: str
    impressions: str
    procedure: str
    patient: str
    no_name: str
    patient_id: str
    born: str
    sex: str
    study: str
    accession: str
    drafted: str
    not_stated: str
    missing_note: str


ENGLISH = Words(
    draft_notice=(
        "UNVERIFIED MACHINE DRAFT. A computer program wrote this text; no physician has read it. "
        "A radiologist must check it against the images before anyone relies on it."
    ),
    demonstration_notice="DEMONSTRATION MODEL, NOT FOR CLINICAL USE.",
    unsure_mark="[LOW CONFIDENCE]",
    moderate="{sentence} (moderate confidence)",
    high="{sentence} (high confidence)",
    no_findings="The model wrote no findings.",
    no_impression="The model wrote no impression.",
    images_read="Images read: {count}. View: {views}. No other image, prior or clinical data was used.",
    frontal="frontal (PA or AP not stated)",
    written_by="Written by {program} with model {model}.",
    not_read="Not read, {count} images: {reason}. SOP Instance UID: {uids}",
    not_read_one="Not read, 1 image: {reason}. SOP Instance UID: {uids}",
    unstated_orientation=(
        "The header does not state the orientation of the image: "
        "left and right assume that it is not mirrored."
    ),
    ignored_values=(
        "Values of the header that are not valid or not certain were ignored, shortened or left out: "
        "{keywords}."
    ),
    recognised_view="The view was recognised from the image, not stated by its header.",
    recognised_body_part=(
        "The body part was recognised from the image, not stated by its header: "
        "its sender is configured to send chest images."
    ),
    looks_doubtful=(
        "The image may not be an upright frontal view of the chest, although its header says so: "
        "check the view before using this draft."
    ),
    companion=(
        "The image is not the standard image but a companion of it, such as one in expiration or with "
        "enhanced lines: no standard image was available."
    ),
    looks_mirrored=(
        "The image looks mirrored, with the heart on the patient's right: "
        "left and right may be exchanged in this draft."
    ),
    repaired_text=(
        "The image states a wrong character set or none: names and other texts were read in the only one "
        "that they can be in. Compare them with the order."
    ),
    unreadable_text=(
        "The image states a wrong character set or none: a name or another text cannot be read "
        "and is left out."
    ),
    other_display=(
        "The first window or look-up table that the image states leaves almost nothing visible: "
        "the next usable one that it states was used."
    ),
    range_displayed=(
        "No window or look-up table of the image leaves enough visible: "
        "the range of its pixel values was displayed instead."
    ),
    padding_ignored=(
        "The padding value that the image states covers parts of the picture: it was ignored, "
        "and these parts are displayed."
    ),
    garbled_mark="[CHECK WORDING]",
    garbled="{count} sentences may be garbled, marked {mark}: check what they say against the image.",
    garbled_one="1 sentence may be garbled, marked {mark}: check what it says against the image.",
    uncompared_mark="[NO COMPARISON WAS MADE]",
    uncompared="{count} sentences speak of a comparison, marked {mark}: the model saw no earlier image.",
    uncompared_one="1 sentence speaks of a comparison, marked {mark}: the model saw no earlier image.",
    prior_found=(
        "Comparison: a prior chest radiograph of {date}{views} exists in {archive}; the program did not read "
        "it and compared nothing with it. Study Instance UID: {uid}"
    ),
    prior_views=" ({views})",
    prior_none="Comparison: no prior chest radiograph of the last {years} years was found in {archive}.",
    prior_none_one="Comparison: no prior chest radiograph of the last year was found in {archive}.",
    prior_unknown=(
        "Comparison: priors could not be looked up in {archive}: {obstacle}. "
        "Whether there are any is not known."
    ),
    priors_undescribed=(
        "{archive} has {count} earlier radiographs of this patient of which it does not say what part of the "
        "body they show."
    ),
    priors_undescribed_one=(
        "{archive} has 1 earlier radiograph of this patient of which it does not say what part of the body "
        "it shows."
    ),
    priors_left_out="Left out, {count} earlier studies under the same patient ID: {reason}.",
    priors_left_out_one="Left out, 1 earlier study under the same patient ID: {reason}.",
    summary="Summary",
    priors="Prior Procedure Descriptions",
    findings="Findings",
    impressions="Impressions",
    procedure="Current Procedure Descriptions",
    patient="Patient: {names}",
    no_name="name not stated",
    patient_id="ID",
    born="Born",
    sex="Sex",
    study="Study",
    accession="Accession",
    drafted="Drafted",
    not_stated="not stated",
    missing_note=(
        "{box} stands for a character that this page cannot show. Structured Reports hold the whole text."
    ),
)

CHINESE = Words(
    draft_notice=(
        "未经核实的机器草稿。本文由计算机程序撰写，尚无医师阅读。"
        "任何人采信本文之前，必须由放射科医师对照影像核实。"
    ),
    demonstration_notice="演示模型，不得用于临床。",
    unsure_mark="【低置信度】",
    moderate="{sentence}（中等置信度）",
    high="{sentence}（高置信度）",
    no_findings="模型未写出所见。",
    no_impression="模型未写出结论。",
    images_read="已阅影像：{count} 幅。体位：{views}。未使用其他影像、既往检查或临床资料。",
    frontal="正位（未注明 PA 或 AP）",
    written_by="由 {program} 使用模型 {model} 撰写。",
    not_read="未阅影像 {count} 幅，原因：{reason}。SOP Instance UID：{uids}",
    not_read_one="未阅影像 1 幅，原因：{reason}。SOP Instance UID：{uids}",
    unstated_orientation="影像信息未注明方位：左右之分以影像未经镜像翻转为前提。",
    ignored_values="影像信息中下列属性的值无效或不明确，已忽略、缩短或略去：{keywords}。",
    recognised_view="体位由影像本身识别得出，影像信息未注明。",
    recognised_body_part="部位由影像本身识别得出，影像信息未注明：发送方已设为只发送胸部影像。",
    looks_doubtful="影像信息注明为胸部正位，但影像可能并非直立正位胸片：使用本草稿前请核对体位。",
    companion="该影像并非标准影像，而是其附属影像（如呼气相或导管增强影像）：无标准影像可用。",
    looks_mirrored="影像疑似左右镜像（心脏位于患者右侧）：本草稿中的左右可能颠倒。",
    repaired_text="影像未注明字符集或所注有误：姓名等文字已按唯一可能的字符集读取，请与检查申请核对。",
    unreadable_text="影像未注明字符集或所注有误：有姓名或其他文字无法读取，已略去。",
    other_display="按影像首先注明的窗宽窗位或查找表显示时，几乎无内容可见：已改用其注明的下一个可用者。",
    range_displayed="按影像的窗宽窗位或查找表显示时，可见内容不足：已改按像素值范围显示。",
    padding_ignored="影像注明的填充值覆盖了部分图像：已忽略该填充值，相应部分照常显示。",
    garbled_mark="【请核对措辞】",
    garbled="{count} 句措辞可能有误，已标 {mark}：请对照影像核对。",
    garbled_one="1 句措辞可能有误，已标 {mark}：请对照影像核对。",
    uncompared_mark="【未作对比】",
    uncompared="{count} 句涉及前后对比，已标 {mark}：模型未阅任何既往影像。",
    uncompared_one="1 句涉及前后对比，已标 {mark}：模型未阅任何既往影像。",
    prior_found=(
        "对比：{archive} 中存有 {date} 的既往胸片{views}；程序未阅该片，也未与之作任何对比。"
        "Study Instance UID：{uid}"
    ),
    prior_views="（{views}）",
    prior_none="对比：在 {archive} 中未查到近 {years} 年的既往胸片。",
    prior_none_one="对比：在 {archive} 中未查到近 1 年的既往胸片。",
    prior_unknown="对比：无法在 {archive} 中查询既往检查，原因：{obstacle}。是否有既往检查不详。",
    priors_undescribed="{archive} 中另有该患者 {count} 次既往摄片，未注明部位。",
    priors_undescribed_one="{archive} 中另有该患者 1 次既往摄片，未注明部位。",
    priors_left_out="未列入同一患者编号下的 {count} 次既往检查，原因：{reason}。",
    priors_left_out_one="未列入同一患者编号下的 1 次既往检查，原因：{reason}。",
    summary="概要",
    priors="既往检查",
    findings="影像所见",
    impressions="结论",
    procedure="检查说明",
    patient="患者：{names}",
    no_name="姓名未注明",
    patient_id="患者编号",
    born="出生日期",
    sex="性别",
    study="检查日期",
    accession="检查号",
    drafted="草稿时间",
    not_stated="未注明",
    missing_note="{box} 代表本页无法显示的字符。结构化报告（SR）保有全文。",
)

_BY_LANGUAGE = {"en": ENGLISH, "zh": CHINESE}


def words_of(language: str) -> Words:
    """Return the node's words in a language (RFC 5646), or in English if it has none."""
    return _BY_LANGUAGE.get(language.partition("-")[0].lower(), ENGLISH)
