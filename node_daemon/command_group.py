"""How the command line fails: errors in one form, wrong usage too, and what nobody foresaw in a file."""

import sys
import traceback
from types import TracebackType

import typer
from typer.core import TyperGroup

from node_daemon.files import write_atomically
from node_daemon.output import show_error
from node_daemon.paths import user_state_folder
from p2pfl.errors import P2PError, StateError

CRASH_FILE = "crash.log"
PANELS = ("Start", "Everyday", "Models", "Research", "Help")  # of --help, in this order


class Commands(TyperGroup):
    """Prints every error that was raised on purpose in one form, and ends with its exit code."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """The commands panel by panel."""
        return sorted(super().list_commands(ctx), key=self._place)

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Remember how errors are to be shown."""
        ctx.meta["p2pnode.json"] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        """Run the command that was typed."""
        try:
            return super().invoke(ctx)
        except P2PError as error:
            if ctx.params.get("debug"):
                raise
            show_error(error, as_json=bool(ctx.meta["p2pnode.json"]))
            raise typer.Exit(error.exit_code) from error
        except typer.TyperException as error:  # wrong usage, which typer prints for people
            if not ctx.meta["p2pnode.json"]:
                raise
            usage = P2PError(error.format_message(), fix="add --help", exit_code=error.exit_code)
            show_error(usage, as_json=True)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt:
            raise typer.Exit(130) from None

    def _place(self, name: str) -> int:
        panel = getattr(self.commands[name], "rich_help_panel", "")
        return PANELS.index(panel) if panel in PANELS else len(PANELS)


def report_unexpected(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """For ``sys.excepthook``: an error that nobody raised on purpose is one message, its details a file."""
    lines = traceback.format_exception(kind, error, trace)
    if issubclass(kind, KeyboardInterrupt):
        return
    problem = P2PError(
        f"this is a mistake in p2pnode: {kind.__name__}: {error}",
        facts=[_kept(lines)],
        fix="report it with this file; p2pnode --debug shows the traceback at once",
    )
    show_error(problem, as_json="--json" in sys.argv)


def _kept(lines: list[str]) -> str:
    """Where the traceback is; the traceback itself where no file can be written."""
    path = user_state_folder() / CRASH_FILE
    text = "".join([f"p2pnode {' '.join(sys.argv[1:])}\n", *lines])
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(path, [text.encode("utf-8", "replace")])
    except (OSError, StateError):
        return text
    return f"the traceback is in {path}"
