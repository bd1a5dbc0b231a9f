import os
import socket
import sys

import pytest

from p2pfl.errors import TransportError
from p2pfl.transports.addresses import as_dialled, format_address, parse_address, port_holder


@pytest.mark.parametrize(
    ("host", "port", "address"),
    [
        ("127.0.0.1", 7964, "tcp://127.0.0.1:7964"),
        ("::1", 80, "tcp://[::1]:80"),
        ("garage.local", 1, "tcp://garage.local:1"),
    ],
)
def test_an_address_is_written_and_read_back(host: str, port: int, address: str) -> None:
    assert format_address(host, port) == address
    assert parse_address(address) == (host, port)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "tcp://",
        "tcp://host",
        "tcp://:80",
        "host:80",
        "tcp://host:0",
        "tcp://host:65536",
        "tcp://host:\u0661",
        "memory://1",
    ],
)
def test_what_is_no_address_is_refused_with_an_example(address: str) -> None:
    with pytest.raises(TransportError, match="one looks like tcp://"):
        parse_address(address)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells who listens")
def test_the_process_that_listens_on_a_port_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert port_holder(port).startswith(f"pid {os.getpid()} (")

    assert port_holder(port) == ""


@pytest.mark.parametrize(
    ("announced", "dialled"),
    [
        ("tcp://0.0.0.0:7964", "tcp://192.168.1.7:7964"),
        ("tcp://[::]:7964", "tcp://192.168.1.7:7964"),
        ("tcp://10.0.0.3:7964", "tcp://10.0.0.3:7964"),
        ("garage", ""),
        ("", ""),
    ],
)
def test_a_peer_on_all_interfaces_is_dialled_where_its_connection_comes_from(
    announced: str, dialled: str
) -> None:
    assert as_dialled(announced, "tcp://192.168.1.7:40000") == dialled
