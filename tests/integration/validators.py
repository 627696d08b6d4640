"""Programs that judge a draft: dciodvfy, PixelMed's DicomSRValidator, dsrdump, dsr2html."""

from __future__ import annotations

import html
import io
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pydicom import dcmread

_JARS = Path("/usr/share/java")
_RECOGNISED = {
    "BasicTextSR",
    "EnhancedSR",
    "ComprehensiveSR",
    "Comprehensive3DSR",
    "EncapsulatedPDF",
    "SCImage",
    "KeyObjectSelectionDocument",
}
# A stylesheet that calls the validator for one file after the other: Java starts and loads once.
_LOOP = """\
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"
    xmlns:v="xalan://com.pixelmed.validate.DicomSRValidator" exclude-result-prefixes="v">
  <xsl:output method="text" encoding="UTF-8"/>
  <xsl:template match="/">
    <xsl:variable name="validator" select="v:new()"/>
    <xsl:for-each select="/files/file">
      <xsl:text>&#10;File: </xsl:text><xsl:value-of select="."/><xsl:text>&#10;</xsl:text>
      <xsl:value-of select="v:validate($validator, string(.), false(), true(), false(), false(), false())"/>
    </xsl:for-each>
  </xsl:template>
</xsl:stylesheet>
"""
_SHORT_RUN = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Java's flags for runs of seconds: what it spends on optimising would never be earned back."""

_RETIRED_HEADINGS = {
    "59776-5": "121070",
    "19005-8": "121072",
    "55111-9": "121064",
    "55114-3": "121066",
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
    assert _RECOGNISED & set(lines), f"dciodvfy did not recognise the object: {lines}"
    return lines


def pixelmed_findings(path: Path) -> list[str]:
    """Return errors and warnings of PixelMed's DicomSRValidator (templates of PS3.16)."""
    return pixelmed_findings_of([path], path.parent)[path]


def pixelmed_findings_of(paths: Sequence[Path], folder: Path) -> dict[Path, list[str]]:
    """Return the same of many files, judged in one start of Java; *folder* may be written to."""
    files, loop = folder / "files.xml", folder / "loop.xsl"
    files.write_text("<files>" + "".join(f"<file>{path}</file>" for path in paths) + "</files>")
    loop.write_text(_LOOP)
    jars = ":".join(
        str(jar) for jar in sorted(_JARS.glob("*.jar")) if "slf4j-" not in jar.name or "api" in jar.name
    )
    done = subprocess.run(
        ["java", *_SHORT_RUN, "-cp", f"{_JARS / 'xalan2.jar'}:{jars}",
         "-Djavax.xml.transform.TransformerFactory=org.apache.xalan.processor.TransformerFactoryImpl",
         "org.apache.xalan.xslt.Process", "-IN", str(files), "-XSL", str(loop)],
        capture_output=True,
        text=True,
        timeout=120 + 30 * len(paths),
    )  # fmt: skip
    judged = {}
    for part in done.stdout.split("\nFile: ")[1:]:
        name, *lines = part.splitlines()
        assert "IOD validation complete" in lines, f"the validator did not finish: {lines[-5:]}"
        assert any("Found Root Template TID_" in line for line in lines), f"no template: {lines}"
        judged[Path(name)] = [line for line in lines if line.startswith(("Error", "Warning"))]
    assert list(judged) == list(paths), (
        f"not every file was judged: {done.stdout[-500:]}{done.stderr[-2000:]}"
    )
    return judged


def with_retired_headings(part10: bytes) -> bytes:
    """Return the report with heading codes from before 2011, as in PixelMed's tables.

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


def dump(path: Path) -> str:
    """Return the report as dsrdump prints it, its texts whole and in UTF-8."""
    done = subprocess.run(
        ["/usr/bin/dsrdump", "+Pl", "+U8", str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def html_page(path: Path, target: Path) -> str:
    """Render the report like a PACS without its own viewer (dsr2html), and return the page."""
    done = subprocess.run(
        ["dsr2html", "+U8", str(path), str(target)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return target.read_text(encoding="utf-8")


def readable_text(page: str) -> str:
    """Return the text of the page, a line a paragraph."""
    body = re.sub(r"(?s)<(style|head).*?</\1>", "", page)
    broken = re.sub(r"(?i)<(br|p|div|h[1-6]|tr|hr)[^>]*>", "\n", body)
    text = html.unescape(re.sub(r"<[^>]+>", "", broken))
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())
