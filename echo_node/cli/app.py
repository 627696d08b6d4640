"""The application with every command, and the only place where exceptions become exit codes.

0 success · 1 failure, with one clear line · 2 wrong configuration or usage · 130 interrupted.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated

import typer

from echo_node import __version__, logs
from echo_node.cli.models import bench, dataset, model, phantom, training
from echo_node.cli.node import (
    backup,
    config,
    database,
    demo,
    doctor,
    serve,
    status,
    storage,
)
from echo_node.cli.output import complain
from echo_node.cli.studies import export, queue, report, send, withdraw
from echo_node.errors import ConfigError, EchoNodeError

app = typer.Typer(
    name="echo-node",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

for module in (
    serve,
    demo,
    status,
    queue,
    withdraw,
    report,
    send,
    doctor,
    config,
    database,
    backup,
    storage,
    training,
    dataset,
    export,
    phantom,
    model,
    bench,
):
    module.register(app)


@app.callback()
def root(
    *,
    debug: Annotated[
        bool, typer.Option("--debug", envvar="ECHO_NODE_DEBUG", help="Traceback of an error, and debug logs.")
    ] = False,
) -> None:
    """Draft chest X-ray reports: receive studies over DICOM, send drafts to the PACS.

    The node stores and queues each study that it receives, reads it with an
    ECHO model, and sends a Structured Report to the PACS. The report is
    PARTIAL and UNVERIFIED: a draft for a radiologist, never a finding.

    [bold]First steps[/bold]

      echo-node demo                             demonstrate the whole way
      echo-node report chest.dcm                 draft one report
      echo-node serve --pacs PACS@10.0.0.5:104   run the node
      echo-node doctor                           check all that the node needs
      echo-node status                           show the state of the studies

    Settings come from node.toml and peers.toml, ECHO_NODE_… variables and
    flags; `echo-node config show` prints all of them.
    """
    if debug:
        os.environ["ECHO_NODE_DEBUG"] = "1"
    # Standard output is for the result of the command: logs go to standard error.
    logs.configure("debug" if debug else "error", "console")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"echo-node {__version__}")


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        app(prog_name="echo-node")
    except ConfigError as error:
        _explain(error)
        sys.exit(2)
    except EchoNodeError as error:
        _explain(error)
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - a user gets one line, not a traceback
        _explain(error, defect=True)
        sys.exit(1)


def _explain(error: Exception, *, defect: bool = False) -> None:
    if os.environ.get("ECHO_NODE_DEBUG", "") not in ("", "0", "false"):
        traceback.print_exception(error)
        return
    if not defect:
        complain(str(error))
        return
    first_line = (str(error).splitlines() or [""])[0]
    complain(f"unexpected {type(error).__name__}: {first_line}")
    complain("this is a defect of echo-node; `echo-node --debug …` prints the traceback")
