"""Figures in words, for a terminal and for a notebook."""

from collections.abc import Mapping
from html import escape


def as_text(title: str, figures: Mapping[str, str]) -> str:
    """A title, and a line per figure."""
    widest = max(map(len, figures), default=0)
    return "\n".join([title, *(f"  {name:<{widest}}  {value}" for name, value in figures.items())])


def as_html(title: str, figures: Mapping[str, str]) -> str:
    """The same as a table."""
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in figures.items()
    )
    return f"<table style='text-align:left'><caption>{escape(title)}</caption><tbody>{rows}</tbody></table>"


def bytes_text(count: float) -> str:
    """``3.4 MB`` in SI units."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
