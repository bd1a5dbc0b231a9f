"""What went wrong last with each peer, so that ``ping`` and ``doctor`` can say why there is no link."""

from collections.abc import Mapping

MAX_PEERS = 256  # remembered; the oldest give way
EVENTS = frozenset({"peer.refused", "peer.unreachable", "peer.down", "peer.pending"})


class Problems:
    """Follows the reports of a node."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}  # by id, or by an address whose id is not known

    def note(self, event: str, facts: Mapping[str, object]) -> None:
        """Take up one report; a link that comes up ends what was wrong before."""
        keys = [key for key in (facts.get("peer"), facts.get("address")) if isinstance(key, str) and key]
        for key in keys:
            if event == "peer.up" or event in EVENTS:
                self._last.pop(key, None)
            if event in EVENTS:
                self._last[key] = f"{event}: {facts.get('problem') or facts.get('reason') or '?'}"
        for oldest in list(self._last)[:-MAX_PEERS]:
            del self._last[oldest]

    def of(self, peer: str) -> str:
        """The last problem with a peer, or with an address; "" when there was none since its last link."""
        return self._last.get(peer, "")

    @property
    def all(self) -> Mapping[str, str]:
        """The last problem with everybody with whom there is one, by id or address."""
        return dict(self._last)
