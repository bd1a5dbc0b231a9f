"""The receiving process of the wire benchmark: a line ``way parameters`` on standard input per run."""

import asyncio
import sys

from p2pfl.transports.event_loops import loop_factory
from simulations.benchmarks.wire import LOOPS, RAW, RAW_TLS, SECURE
from simulations.benchmarks.wire_raw import receive_raw
from simulations.benchmarks.wire_security import fresh_security
from simulations.benchmarks.wire_tcp import receive_tcp


def announce(address: str) -> None:
    """Tell the sender where to connect."""
    print(address, flush=True)


def main() -> None:
    """Receive until standard input ends."""
    security = fresh_security()
    for line in sys.stdin:
        way, parameters = line.split()
        if way in (RAW, RAW_TLS):
            receive_raw(int(parameters), announce, tls=security.server if way == RAW_TLS else None)
            continue
        with asyncio.Runner(loop_factory=loop_factory(LOOPS[way])) as runner:
            runner.run(receive_tcp(int(parameters), announce, security=security if way in SECURE else None))


if __name__ == "__main__":
    main()
