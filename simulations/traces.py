"""A compact text log of a run, one line per thing that happened: for golden traces and for reading."""

from p2pfl.events import Adopt, Message
from p2pfl.model import Model


class Trace:
    """Lines ``time member what``; numbers are written so that equal text means equal floats."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, now_s: float, member: str, what: str) -> None:
        """Anything that needs no more than a word: ``up``, ``down``, ``stored``, ``finished``."""
        self.lines.append(f"{now_s:.4f} {member} {what}")

    def sent(
        self, now_s: float, member: str, to: str, *, message: Message, arrivals_s: tuple[float, ...]
    ) -> None:
        """A message has left, and when its copies arrive."""
        parts = [f"> {to} {message.kind} r{message.round}"]
        if message.model is not None:
            parts.append(_model(message.model))
        parts += [f"{key}={message.fields[key]!r}" for key in sorted(message.fields)]
        parts.append("@" + ",".join(f"{arrival_s:.4f}" for arrival_s in arrivals_s) if arrivals_s else "lost")
        self.note(now_s, member, " ".join(parts))

    def adopted(self, now_s: float, member: str, adopt: Adopt) -> None:
        """A node has a new model."""
        what = f"= r{adopt.round} {_model(adopt.model)}"
        if adopt.merged:
            what += f" merged {','.join(adopt.merged)}"
        if adopt.missing:
            what += f" missing {','.join(adopt.missing)}"
        self.note(now_s, member, what)


def _model(model: Model) -> str:
    first = f"{model.params[0]:.9g}" if len(model.params) else "-"  # nine digits tell float32 apart
    return f"a{model.age} x={first}"
