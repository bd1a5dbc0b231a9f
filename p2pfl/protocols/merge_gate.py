"""Gate 5 of one-way trust: where models are merged, whose they are is looked at once more.

Protocols drop what they hold of a sender when ``PeersChanged`` says that it is no longer trusted; if one
forgets to, the merge is a bug and ends the run, since no model may be made of what is not trusted.
"""

from collections.abc import Iterable

from p2pfl.events import View


class UntrustedMergeError(RuntimeError):
    """A protocol was about to merge the model of somebody who is not accepted: a bug of the protocol."""


def check_senders(view: View, senders: Iterable[str]) -> None:
    """Raise UntrustedMergeError if trust in one of these senders has ended."""
    barred = sorted(sender for sender in senders if sender in view.refused)
    if barred:
        raise UntrustedMergeError(f"a model of {', '.join(barred)} was to be merged, which is not accepted")
