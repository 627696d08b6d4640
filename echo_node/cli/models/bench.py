"""`echo-node bench …`: measure speed on this machine, compared with other programs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console

from echo_node.cli import options
from echo_node.cli.output import print_json, print_table

_PANEL = "Models"
_Number = TypeVar("_Number", int, float)

_COLUMNS = {  # columns of the table; --json has all fields
    "mode": "mode",
    "batch": "batch",
    "vision": "vision_ms",
    "prefill": "prefill_ms",
    "decode": "decode_ms",
    "tok/fwd": "tokens_per_forward",
    "tok/s": "tokens_per_second",
    "x ar": "ratio_vs_ar",
    "x eager": "ratio_vs_ar_eager",
}

bench = typer.Typer(no_args_is_help=True, help="Measure speed on this machine, compared with other programs.")


@bench.command()
def decode(
    batch: Annotated[
        str, typer.Option("--batch", metavar="N,N,...", help="Batch sizes, separated by commas.")
    ] = "1",
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, help="Number of rounds; the result is the median.")
    ] = 5,
    size: Annotated[
        str,
        typer.Option(
            "--size",
            help="Size of the model: 'checkpoint', or '7b' for the full dimensions with random weights.",
        ),
    ] = "checkpoint",
    max_new_tokens: Annotated[
        int, typer.Option("--tokens", min=8, help="Maximum length of a draft, in tokens.")
    ] = 160,
    config: options.Config = None,
    model: options.Model = None,
    *,
    random: Annotated[
        bool, typer.Option("--random", help="Random weights; every draft has --tokens tokens.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", help="File for a chart of the speeds: PNG, SVG or PDF, by its suffix."
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Time every decoder on the same weights and images.

    Rows: the autoregressive loop of transformers, our autoregressive loop,
    and block diffusion in many steps, in one step, fused, adaptive, and with
    check and repair. Tokens count up to the end of the sequence.

    [bold]Examples[/bold]

      echo-node bench decode --batch 1,8 --plot speeds.png
      echo-node bench decode --size 7b --random --json
    """
    settings = options.load_settings(config, model=model).settings.model
    if random != (size == "7b"):
        raise typer.BadParameter("--size 7b and --random need each other", param_hint="--size")
    batches = _numbers(batch, "--batch", int)
    from echo_node.bench import decode as measuring
    from echo_node.bench import inputs as sources
    from echo_node.bench import plot as plotting
    from echo_node.inference.generator import device_of
    from echo_node.model import checkpoint

    if plot is not None:
        plotting.check_target(plot)
    device = device_of(settings)
    console = Console(stderr=True)
    with console.status("loading") as status:
        if random:
            network = sources.random_7b(device, block_length=8)
            inputs_of = sources.random_7b_inputs(network)
        else:
            loaded = checkpoint.load(settings.name, device)
            network, inputs_of = loaded.model, sources.phantom_inputs(loaded, seed=7)
        modes = measuring.modes(settings.confidence_threshold, max_new_tokens, forced_length=random)
        rows = measuring.bench_decode(network, inputs_of, batches, modes, rounds, status.update)
        forwards = measuring.forward_times(network, inputs_of(1, 0), 10 * rounds)
    measured = f"{'random 7B' if random else settings.name} on {device}"
    if plot is not None:
        plotting.plot_speeds(rows, measured, plot)
    if json:
        print_json(rows)
        return
    print_table(
        f"{measured}, milliseconds for a whole batch",
        list(_COLUMNS),
        [[_figure(row[column]) for column in _COLUMNS.values()] for row in rows],
    )
    listed = ", ".join(f"{tokens} tokens {ms:.2f} ms" for tokens, ms in forwards.items())
    console.print(f"One forward pass of one sequence: {listed}.")


@bench.command()
def rad(
    prompt: Annotated[
        int, typer.Option("--prompt", min=8, help="P, number of tokens of image and prompt.")
    ] = 2930,
    response: Annotated[
        int, typer.Option("--response", min=1, help="R, number of tokens of the response.")
    ] = 160,
    block_length: Annotated[
        int, typer.Option("--block-length", min=1, help="B, number of tokens of a block.")
    ] = 8,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Number of examples per step.")] = 1,
    size: Annotated[
        str, typer.Option("--size", help="Size of the model: small, or wide (four layers of the 7B).")
    ] = "small",
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, help="Number of rounds; the result is the median.")
    ] = 3,
    *,
    json: options.Json = False,
) -> None:
    """Time a training step of RAD, compared with a layout that has everything twice.

    For both layouts: the loss, forward and backward pass of the language
    model, the whole step, and peak memory. The response is padded to the end
    of a block.

    [bold]Examples[/bold]

      echo-node bench rad
      echo-node bench rad --prompt 74 --response 54 --batch 8 --json
    """
    from echo_node.bench import rad as measuring

    if size not in measuring.SIZES:
        raise typer.BadParameter(f"one of {', '.join(measuring.SIZES)}", param_hint="--size")
    response += -(prompt + response) % block_length
    case = measuring.Case(prompt, response, block_length, batch, size)
    with Console(stderr=True).status("loading") as status:
        found = measuring.bench_rad(case, rounds, status.update)
    if json:
        print_json(found)
        return
    names = list(found["rad"])
    print_table(
        f"P {prompt}, R {response}, B {block_length}, batch {batch}, {size}",
        ["layout", *(name.replace("_", " ") for name in names)],
        [[layout, *(f"{found[layout][name]:.6g}" for name in names)] for layout in measuring.LAYOUTS],
    )
    ratios = {name: value for name, value in found.items() if name.endswith("_ratio")}
    console = Console(stderr=True)
    console.print("  ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in ratios.items()))


_RECEIVE_COLUMNS = {  # columns of the table; --json has all fields
    "receiver": "receiver",
    "MB": "size_mb",
    "assoc.": "associations",
    "images/s": "images_per_second",
    "MB/s": "megabytes_per_second",
    "p99 ms": "p99_ms",
    "peak MB": "peak_memory_mb",
    "x storescp": "ratio_vs_storescp",
    "x disk": "ratio_vs_disk",
}


@bench.command()
def receive(
    sizes: Annotated[
        str, typer.Option("--size", metavar="MB,MB,...", help="Sizes of an image, in megabytes.")
    ] = "0.5,10",
    associations: Annotated[
        str, typer.Option("--associations", metavar="N,N,...", help="Numbers of simultaneous associations.")
    ] = "1,4,16",
    megabytes: Annotated[
        int, typer.Option("--megabytes", min=1, help="Megabytes sent to each receiver per round.")
    ] = 200,
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, help="Number of rounds; the result is the median.")
    ] = 3,
    folder: Annotated[
        Path, typer.Option("--folder", metavar="DIR", help="Folder on the disk that the node will use.")
    ] = Path("echo-data"),
    *,
    json: options.Json = False,
) -> None:
    """Time the receiving of images, compared with DCMTK, Orthanc and pynetdicom if installed.

    The last row of each load is the disk alone, with the same durable writes
    as the node: no receiver that keeps its promise is faster.

    [bold]Examples[/bold]

      echo-node bench receive
      echo-node bench receive --size 10 --associations 16 --json
    """
    from echo_node.bench.receive import Load, bench_receive

    loads = [
        Load(size, count, max(count * 4, int(megabytes / size)))
        for size in _numbers(sizes, "--size", float)
        for count in _numbers(associations, "--associations", int)
    ]
    with Console(stderr=True).status("starting") as status:
        rows = bench_receive(loads, rounds, folder, status.update)
    if json:
        print_json(rows)
        return
    print_table(
        "random images, received on this machine",
        list(_RECEIVE_COLUMNS),
        [[_figure(row[column]) for column in _RECEIVE_COLUMNS.values()] for row in rows],
    )
    for row in rows:
        if row["failed"]:
            load = f"{row['size_mb']} MB x {row['associations']}"
            typer.echo(f"{load}: no result for {row['receiver']}: {row['failed']}", err=True)


@bench.command()
def queue(
    queued: Annotated[
        str, typer.Option("--queued", metavar="N,N,...", help="Numbers of waiting jobs.")
    ] = "10,1000",
    archived: Annotated[int, typer.Option("--archived", min=0, help="Number of finished jobs.")] = 100_000,
    database_url: Annotated[
        str | None,
        typer.Option(
            "--database-url", metavar="URL", help="Empty database. Default: a new SQLite file in this folder."
        ),
    ] = None,
    *,
    json: options.Json = False,
) -> None:
    """Time the claiming of jobs, with few and many waiting jobs and many finished ones.

    [bold]Examples[/bold]

      echo-node bench queue --archived 1000000
      echo-node bench queue --database-url postgresql://echo@db/bench --json
    """
    from echo_node.bench.queue import bench_queue

    counts = _numbers(queued, "--queued", int)
    with tempfile.TemporaryDirectory(dir=".") as folder, Console(stderr=True).status("starting") as status:
        rows = bench_queue(
            database_url or f"sqlite:///{folder}/bench.sqlite3", counts, archived, status.update
        )
    if json:
        print_json(rows)
        return
    columns = list(rows[0])
    print_table(
        "one worker, one job after another",
        [name.replace("_", " ") for name in columns],
        [[_figure(row[name]) for name in columns] for row in rows],
    )


def _numbers(text: str, option: str, kind: type[_Number]) -> list[_Number]:
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter("numbers separated by commas", param_hint=option) from None


def _figure(value: object) -> object:
    if not isinstance(value, float):
        return "-" if value is None else value
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(bench, name="bench", rich_help_panel=_PANEL)
