"""``sim``: experiments, and what came of them."""

from pathlib import Path
from typing import Annotated

import typer

from node_daemon.cli.options import AsJson, group
from node_daemon.output import Answer, show, table

Plot = Annotated[Path | None, typer.Option("--plot", help="Draw it: .png, .svg or .pdf.")]

app = group("Experiments: which graph, protocol, data and faults give which accuracy.")


@app.command("run", epilog="Example: p2pnode sim run experiment.toml --out run")
def run(
    file: Annotated[Path, typer.Argument(help="The keyword arguments of simulations.Experiment, in TOML.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for results; of a sweep out/NAME by default.")
    ] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="Points of a sweep at a time.")] = None,
    on: Annotated[str | None, typer.Option("--on", help="Where the points run: cores or ray.")] = None,
    address: Annotated[str | None, typer.Option("--address", help="Of the Ray cluster.")] = None,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Run an experiment: event, vectorised, or real processes; or a sweep, where options are lists."""
    from simulations.sweep_command import run_file

    report = run_file(file, out=out, jobs=jobs, on=on, address=address, plot=plot)
    show(Answer(report.data, report.text), as_json=as_json)
    raise typer.Exit(report.exit_code)


@app.command("compare", epilog="Example: p2pnode sim compare ring torus --plot both.png")
def compare(
    folders: Annotated[list[Path], typer.Argument(help="Folders of finished runs, or of a sweep.")],
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Table and plot of finished runs."""
    from simulations.compare import compare_folders

    found = compare_folders(folders, plot=plot)
    text = table(found.columns, found.rows) + (f"\npicture in {plot}" if plot is not None else "")
    show(Answer(found.data, text), as_json=as_json)
