"""Send a study to a node as a modality does, and receive its draft as a PACS does.

    python examples/push_and_fetch.py chest.dcm --node 127.0.0.1:11112 --listen 11113

The node needs this program as a destination. In peers.toml:

    [example]
    ae_title = "EXAMPLE"
    host = "127.0.0.1"
    port = 11113

and in node.toml: `delivery.destinations = ["example"]`.
"""

import argparse
import queue
import sys
from io import BytesIO
from pathlib import Path

from pydicom import dcmread, dcmwrite
from pydicom.uid import BasicTextSRStorage
from pynetdicom import AE, evt

from echo_node import Peer, read_sections, send_files

AE_TITLE = "EXAMPLE"


def main() -> int:
    """Send the files, wait for the draft, print it."""
    arguments = _arguments()
    host, _, port = arguments.node.partition(":")
    node = Peer(ae_title=arguments.ae_title, host=host, port=int(port))
    drafts: queue.Queue[bytes] = queue.Queue()
    pacs = AE(ae_title=AE_TITLE)
    pacs.add_supported_context(BasicTextSRStorage)
    handlers: list[evt.EventHandlerType] = [(evt.EVT_C_STORE, _keep, [drafts])]
    pacs.start_server(("127.0.0.1", arguments.listen), block=False, evt_handlers=handlers)
    try:
        for result in send_files(arguments.files, node, AE_TITLE):
            print(f"{result.path.name}: {result.message}")
            if not result.stored:
                return 1
        study = dcmread(arguments.files[0], stop_before_pixels=True).StudyInstanceUID
        print(_draft_of(study, drafts, arguments.timeout))
    except queue.Empty:
        print(f"no draft within {arguments.timeout} s: see `echo-node queue list`", file=sys.stderr)
        return 1
    finally:
        pacs.shutdown()
    return 0


def _draft_of(study_instance_uid: str, drafts: "queue.Queue[bytes]", timeout_s: float) -> str:
    """Return the text of the first draft that belongs to the study."""
    while True:
        part10 = drafts.get(timeout=timeout_s)
        if dcmread(BytesIO(part10)).StudyInstanceUID == study_instance_uid:
            sections = read_sections(part10)
            return "\n\n".join("\n".join([section.heading.upper(), *section.texts]) for section in sections)


def _keep(event: evt.Event, drafts: "queue.Queue[bytes]") -> int:
    """Handle a C-STORE: put the document, as a file, into the queue."""
    document = event.dataset
    document.file_meta = event.file_meta
    part10 = BytesIO()
    dcmwrite(part10, document, enforce_file_format=True)
    drafts.put(part10.getvalue())
    return 0x0000


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", help="DICOM files of one study")
    parser.add_argument("--node", default="127.0.0.1:11112", help="address of the node, host:port")
    parser.add_argument("--ae-title", default="ECHO_NODE", help="AE title of the node")
    parser.add_argument("--listen", type=int, default=11113, help="port to receive the draft on")
    parser.add_argument("--timeout", type=float, default=120.0, help="how long to wait, in seconds")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
