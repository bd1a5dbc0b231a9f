"""The limit of the wire benchmark: blocking sockets, the vector's own memory, one preallocated buffer."""

import socket
import ssl
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

WARM_UP = 2  # models before the clock starts
TIMEOUT_S = 60.0
TAKEN = b"1"


def send_raw(
    address: str, vector: NDArray[np.float32], *, models: int, tls: ssl.SSLContext | None = None
) -> float:
    """Seconds for ``models`` vectors, each acknowledged by one byte."""
    plain = socket.create_connection(("127.0.0.1", int(address)), TIMEOUT_S)
    plain.settimeout(None)  # a timeout would make the socket poll before each call
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with plain if tls is None else tls.wrap_socket(plain) as connection:
        for count in range(WARM_UP + models):
            if count == WARM_UP:
                start_s = time.perf_counter()
            connection.sendall(vector.data.cast("B"))
            if connection.recv(1) != TAKEN:
                raise ConnectionError("the receiver ended before its time")
        return time.perf_counter() - start_s


def receive_raw(
    parameters: int, announce: Callable[[str], None], *, tls: ssl.SSLContext | None = None
) -> None:
    """Receive vectors from one sender until it closes."""
    vector = np.zeros(parameters, np.float32)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        announce(str(listener.getsockname()[1]))
        plain, _ = listener.accept()
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with plain if tls is None else tls.wrap_socket(plain, server_side=True) as connection:
        while _fill(connection, vector.data.cast("B")):
            connection.sendall(TAKEN)


def _fill(connection: socket.socket, memory: memoryview) -> bool:
    """Receive exactly that much; False at the end of the connection."""
    while memory:
        count = connection.recv_into(memory)
        if count == 0:
            return False
        memory = memory[count:]
    return True
