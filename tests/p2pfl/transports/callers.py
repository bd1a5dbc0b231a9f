"""Somebody who speaks TLS as told, and has any frames to say."""

import asyncio
import ssl
from dataclasses import dataclass

from p2pfl.transports.addresses import parse_address
from p2pfl.transports.tls import ALPN, client_context
from p2pfl.wire.framing import HEADER_BYTES
from tests.p2pfl.transports.ends import DEADLINE_S, End


@dataclass
class Caller:
    """One connection to an end."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def calls(cls, end: End, *, alpn: str = ALPN, most: ssl.TLSVersion | None = None) -> "Caller":
        context = client_context()
        context.set_alpn_protocols([alpn])
        if most is not None:
            context.maximum_version = most
        host, port = parse_address(end.address)
        return cls(*await asyncio.open_connection(host, port, ssl=context, server_hostname=""))

    async def frame(self) -> tuple[int, bytes]:
        async with asyncio.timeout(DEADLINE_S):
            header = await self.reader.readexactly(HEADER_BYTES)
            return header[4], await self.reader.readexactly(int.from_bytes(header[:4], "big"))

    async def rest(self) -> bytes:
        async with asyncio.timeout(DEADLINE_S):
            try:
                return await self.reader.read()
            except (ConnectionError, ssl.SSLError):
                return b""
            finally:
                self.writer.close()


async def refused_with(end: End, code: str) -> None:
    await end.until(lambda: bool(end.denied))
    assert [found for found, _ in end.denied] == [code]
    assert end.links == []
