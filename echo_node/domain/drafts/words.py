"""The node's own words in a draft, beside the model's: in the report's language where they are known in it.

They are defined here and nowhere else. Every other language falls back to English, and the notices appear in
English too, regardless of the language. The banner and the series description are in English only
(domain/drafts/draft.py). The Chinese words were not reviewed by a radiologist who is a native speaker.
"""
# ruff: noqa: RUF001 - full-width punctuation is how Chinese is written

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """What the node says in one language; names in braces are put in.

    Attributes:
        draft_notice: that nobody has verified the text.
        demonstration_notice: that the model is none for patients.
        unsure_mark: stands before a sentence of which the model is unsure.
        moderate: stands behind one of which it is moderately sure: {sentence}.
        high: behind one of which it is sure: {sentence}.
        no_findings: the model left the section out.
        no_impression: the same.
        images_read: {count}, {views}.
        frontal: a view of which PA or AP is not known.
        written_by: {program}, {model}.
        not_read: {count}, {reason}, {uids}; the reason is in English.
        not_read_one: the same of one image.
        unstated_orientation: the header does not say which side is left.
        recognised_view: the view is known from the image alone.
        looks_mirrored: the heart lies on the patient's right.
        uncompared_mark: stands before a sentence that speaks of a comparison: the model reads one image.
        uncompared: {count} sentences do, behind {mark}.
        uncompared_one: one does.
        prior_found: {date}, {views} (may be empty), {archive}, {uid}.
        prior_views: the views of a prior, before they are put in: {views}.
        prior_none: {years}, {archive}.
        prior_none_one: the same of one year.
        prior_unknown: {archive}, {obstacle}; the obstacle is in English.
        priors_undescribed: {archive}, {count}: earlier radiographs of an unknown part of the body.
        priors_undescribed_one: the same of one.
        priors_left_out: {count}, {reason}; the reason is in English.
        priors_left_out_one: the same of one.
        summary: a page's heading.
        priors: a page's heading.
        findings: a page's heading.
        impressions: a page's heading.
        procedure: a page's heading.
        patient: {names}.
        no_name: in place of them.
        patient_id: on a page, before the identifier.
        born: before the birth date.
        sex: before DICOM's code.
        study: before the study's date.
        accession: before the accession number.
        drafted: before the moment when the draft was made.
        not_stated: in place of what the image does not say.
        missing_note: what {box} stands for.
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
    recognised_view: str
    looks_mirrored: str
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
    recognised_view="The view was recognised from the image, not stated by its header.",
    looks_mirrored=(
        "The image looks mirrored, with the heart on the patient's right: "
        "left and right may be exchanged in this draft."
    ),
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
    recognised_view="体位由影像本身识别得出，影像信息未注明。",
    looks_mirrored="影像疑似左右镜像（心脏位于患者右侧）：本草稿中的左右可能颠倒。",
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
    """Return the node's words for a report in this language (RFC 5646); English where there are none."""
    return _BY_LANGUAGE.get(language.partition("-")[0].lower(), ENGLISH)
