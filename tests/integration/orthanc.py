"""A real Orthanc for tests: random ports, private storage, strict about who it talks to.

with Orthanc(modalities={"ECHO_NODE": ("127.0.0.1", 11112)}) as pacs:
    ...send to pacs.peer...
    pacs.find(Modality="SR")
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from echo_node.settings import Peer

PROGRAM = shutil.which("Orthanc", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
AE_TITLE = "ORTHANC"

_START_S, _STOP_S = 60.0, 20.0


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Orthanc:
    """One server; start and stop may be repeated, and what it stored stays until `close`.

    Args:
        modalities: the AE titles that may store and that it knows, with their addresses.
        stable_age_s: when it calls a study stable.
        dicomweb: whether it is a DICOMweb service too.
        ae_title: its own.
        encoding: of what it answers to questions, by Orthanc's name.
    """

    def __init__(
        self,
        modalities: Mapping[str, tuple[str, int]] | None = None,
        *,
        stable_age_s: int = 1,
        dicomweb: bool = False,
        ae_title: str = AE_TITLE,
        encoding: str = "Latin1",
    ) -> None:
        self._ae_title = ae_title
        self._dicomweb = dicomweb
        self._encoding = encoding
        self._folder = Path(tempfile.mkdtemp(prefix="echo-node-orthanc-"))
        self._modalities = modalities if modalities is not None else {"ECHO_NODE": ("127.0.0.1", 11112)}
        self._stable_age_s = stable_age_s
        self._process: subprocess.Popen[bytes] | None = None
        self.dicom_port = free_port()
        self.http_port = free_port()

    @property
    def peer(self) -> Peer:
        """Its address as a destination."""
        return Peer(ae_title=self._ae_title, host="127.0.0.1", port=self.dicom_port)

    @property
    def dicomweb_url(self) -> str:
        """URL of its DICOMweb service."""
        return f"http://127.0.0.1:{self.http_port}/dicom-web"

    @property
    def address(self) -> str:
        """The peer as `echo-node` commands take it."""
        return f"{self._ae_title}@127.0.0.1:{self.dicom_port}"

    def start(self) -> Self:
        """Start the server and wait until it answers."""
        assert PROGRAM is not None, "Orthanc is not installed: make tools"
        configuration = self._folder / "orthanc.json"
        configuration.write_text(json.dumps(self._configuration()))
        with (self._folder / "orthanc.log").open("ab") as log_file:
            self._process = subprocess.Popen(
                [PROGRAM, str(configuration)],
                env={**os.environ, "TCP_NODELAY": "1"},
                stdout=log_file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_S
        while not self._answers():
            log = (self._folder / "orthanc.log").read_text(errors="replace")[-2000:]
            assert self._process.poll() is None, f"Orthanc ended: {log}"
            assert time.monotonic() < deadline, f"Orthanc did not start in {_START_S:.0f} s: {log}"
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        """Stop the server; what it stored stays."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def close(self) -> None:
        """Stop the server and remove what it stored."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def find(self, level: str = "Instance", **query: str) -> list[dict[str, Any]]:
        """Return the matches of DICOM attributes, newest last, with `ID` and `MainDicomTags`."""
        body = {"Level": level, "Query": query, "Expand": True, "CaseSensitive": True}
        return sorted(self._ask("/tools/find", body), key=lambda found: str(found.get("IndexInSeries")))

    def instances(self, study_instance_uid: str) -> list[str]:
        """Return the SOP Instance UIDs of a study."""
        found = self.find(StudyInstanceUID=study_instance_uid)
        return [str(each["MainDicomTags"]["SOPInstanceUID"]) for each in found]

    def reports(self, study_instance_uid: str) -> list[bytes]:
        """Return the Structured Reports of a study as DICOM files."""
        series = self.find("Series", StudyInstanceUID=study_instance_uid, Modality="SR")
        return [self.file(instance) for each in series for instance in each["Instances"]]

    def file(self, orthanc_id: str) -> bytes:
        """Return an instance as a DICOM file."""
        return self._call("GET", f"/instances/{orthanc_id}/file")

    def wado(self, study_instance_uid: str, series_instance_uid: str, sop_instance_uid: str) -> bytes:
        """Fetch an instance as a DICOM file by WADO-URI (PS3.18 9); needs `dicomweb`."""
        query = urlencode(
            {
                "requestType": "WADO",
                "studyUID": study_instance_uid,
                "seriesUID": series_instance_uid,
                "objectUID": sop_instance_uid,
                "contentType": "application/dicom",
            },
            safe="/",
        )
        return self._call("GET", f"/wado?{query}")

    def store(self, part10: bytes) -> str:
        """Put a DICOM file in over REST and return Orthanc's identifier."""
        return str(json.loads(self._call("POST", "/instances", part10))["ID"])

    def send(self, orthanc_ids: Sequence[str], modality: str) -> None:
        """Make Orthanc send instances to one of its modalities by C-STORE, and wait for the end.

        Raises:
            OSError: the modality did not store them.
        """
        self._ask(f"/modalities/{modality}/store", list(orthanc_ids))

    def ask_for_commitment(self, modality: str, instances: Sequence[tuple[str, str]]) -> str:
        """Make Orthanc request storage commitment of these instances from one of its modalities.

        Returns:
            The Transaction UID.
        """
        question = {"DicomInstances": [{"SOPClassUID": cls, "SOPInstanceUID": uid} for cls, uid in instances]}
        return str(self._ask(f"/modalities/{modality}/storage-commitment", question)["ID"])

    def commitment(self, transaction_uid: str) -> dict[str, Any]:
        """Return the answer to Orthanc's request: its `Status`, `Success` and `Failures`."""
        found: dict[str, Any] = json.loads(self._call("GET", f"/storage-commitment/{transaction_uid}"))
        return found

    def _answers(self) -> bool:
        try:
            if json.loads(self._call("GET", "/system"))["DicomAet"] != self._ae_title:
                return False
            socket.create_connection(("127.0.0.1", self.dicom_port), timeout=2).close()
        except (OSError, http.client.HTTPException, ValueError):
            return False
        return True

    def _ask(self, path: str, question: object) -> Any:
        return json.loads(self._call("POST", path, json.dumps(question).encode()))

    def _call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=60)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise OSError(f"Orthanc answered {method} {path} with {answer.status}: {content[:300]!r}")
        return content

    def _configuration(self) -> dict[str, object]:
        return {
            "Name": "echo-node test",
            "StorageDirectory": str(self._folder / "storage"),
            "IndexDirectory": str(self._folder / "index"),
            "Plugins": [str(DICOMWEB)] if self._dicomweb else [],
            "DicomWeb": {
                "Enable": self._dicomweb,
                "Root": "/dicom-web/",
                "EnableWado": self._dicomweb,
                "WadoRoot": "/wado",
            },
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAet": self._ae_title,
            "DicomPort": self.dicom_port,
            "DicomCheckCalledAet": True,
            "DefaultEncoding": self._encoding,
            "StrictAetComparison": True,
            "DicomAlwaysAllowEcho": False,
            "DicomAlwaysAllowStore": False,
            "DicomModalities": {
                ae_title: {
                    "AET": ae_title,
                    "Host": host,
                    "Port": port,
                    "AllowEcho": True,
                    "AllowStore": True,
                    "AllowFind": True,
                    "AllowMove": True,
                }
                for ae_title, (host, port) in self._modalities.items()
            },
            "StableAge": self._stable_age_s,
            "SaveJobs": False,
            "OverwriteInstances": False,
        }
