"""``ping``: ask the running node how far a peer is, and put the answer into words."""

from node_daemon.control_client import Json, request
from node_daemon.output import Answer, rate
from node_daemon.paths import Paths


def ping(paths: Paths, peer: str) -> Answer:
    """Round trip, path, throughput, version and trust in both directions; raises P2PError without a link."""
    found = request(paths.socket, "ping", {"peer": peer})
    lines = [
        f"{found.get('name')} ({str(found.get('id'))[:7]})   {found.get('address')}   {found.get('path')}",
        f"round trip  {_milliseconds(found.get('round_trip_min_s'))} to "
        f"{_milliseconds(found.get('round_trip_max_s'))}, median "
        f"{_milliseconds(found.get('round_trip_median_s'))}, {found.get('answers')} answers",
        f"throughput  {_throughput(found)}",
        f"trust       I accept: {_yes(found.get('accepted'))}   I share: {_yes(found.get('shared_with'))}   "
        f"accepts me: {_yes(found.get('accepts_us'))}   shares with me: {_yes(found.get('shares_with_us'))}",
        f"version     {found.get('version') or 'not said'}",
    ]
    return Answer(found, "\n".join(lines))


def _milliseconds(value_s: Json) -> str:
    return f"{1000 * value_s:.1f} ms" if isinstance(value_s, int | float) else "?"


def _throughput(found: dict[str, Json]) -> str:
    """Echoes are short: on a long way their number under way limits it, not the way."""
    value, size = found.get("throughput_bytes_per_s"), found.get("echoed_bytes")
    if not isinstance(value, int | float) or not isinstance(size, int):
        return "not measured: no large echo came back in time"
    return f"at least {rate(value)} in both directions at once ({size // 1024} KiB echoed, 240 KiB under way)"


def _yes(fact: Json) -> str:
    return "?" if fact is None else "yes" if fact else "no"
