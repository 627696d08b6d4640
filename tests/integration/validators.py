"""Programs that judge a Structured Report: dciodvfy, PixelMed's DicomSRValidator, dsr2html."""

from __future__ import annotations

import html
import io
import re
import subprocess
from pathlib import Path

from pydicom import dcmread

_JARS = Path("/usr/share/java")
_RETIRED_HEADINGS = {
    "59776-5": "121070",
    "19005-8": "121072",
    "55111-9": "121064",
    "55112-7": "121111",
}


def dciodvfy_errors(path: Path) -> list[str]:
    """Return the errors that dciodvfy finds."""
    return [line for line in _dciodvfy(path) if line.startswith("Error")]


def dciodvfy_warnings(path: Path) -> list[str]:
    """Return the warnings that dciodvfy has."""
    return [line for line in _dciodvfy(path) if line.startswith("Warning")]


def _dciodvfy(path: Path) -> list[str]:
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, timeout=60)
    lines = (done.stdout + done.stderr).splitlines()
    assert "BasicTextSR" in lines, f"dciodvfy did not recognise the object: {lines}"
    return lines


def pixelmed_findings(path: Path) -> list[str]:
    """Return the errors and warnings of PixelMed's DicomSRValidator, which knows the templates of PS3.16."""
    jars = ":".join(
        str(jar) for jar in sorted(_JARS.glob("*.jar")) if "slf4j-" not in jar.name or "api" in jar.name
    )
    done = subprocess.run(
        ["java", "-cp", jars, "com.pixelmed.validate.DicomSRValidator", str(path)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    lines = (done.stdout + done.stderr).splitlines()
    assert "IOD validation complete" in lines, f"the validator did not finish: {lines[-5:]}"
    assert any("TID_2000" in line for line in lines), f"the template was not recognised: {lines}"
    return [line for line in lines if line.startswith(("Error", "Warning"))]


def with_retired_headings(part10: bytes) -> bytes:
    """Return the report with the headings' codes of before 2011, the only ones that PixelMed's tables know.

    With them it looks into the sections, and not only at their outside.
    """
    report = dcmread(io.BytesIO(part10))
    for section in report.ContentSequence:
        heading = section.ConceptNameCodeSequence[0]
        if heading.CodeValue in _RETIRED_HEADINGS:
            heading.CodeValue = _RETIRED_HEADINGS[heading.CodeValue]
            heading.CodingSchemeDesignator = "DCM"
        for item in section.get("ContentSequence", []):
            element = item.ConceptNameCodeSequence[0]
            if element.CodeValue == "55112-7":
                element.CodeValue, element.CodingSchemeDesignator = "121111", "DCM"
    stream = io.BytesIO()
    report.save_as(stream)
    return stream.getvalue()


def html_page(path: Path, target: Path) -> str:
    """Render the report as a PACS without a viewer of its own would (dsr2html), and return the page."""
    done = subprocess.run(
        ["dsr2html", "+U8", str(path), str(target)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return target.read_text(encoding="utf-8")


def readable_text(page: str) -> str:
    """Return what a reader of the page sees, a line a paragraph."""
    body = re.sub(r"(?s)<(style|head).*?</\1>", "", page)
    broken = re.sub(r"(?i)<(br|p|div|h[1-6]|tr|hr)[^>]*>", "\n", body)
    text = html.unescape(re.sub(r"<[^>]+>", "", broken))
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())
