"""A peer that sends whatever bytes it likes, for the tests of what a TCP link bears."""

import asyncio

from p2pfl.transports.addresses import parse_address
from p2pfl.wire.framing import HEADER_BYTES, FrameType
from p2pfl.wire.link_codec import decode_greeting, encode_greeting
from tests.p2pfl.transports.ends import DEADLINE_S, End
from tests.p2pfl.wire.samples import greeting


class Stranger:
    """A peer that sends whatever bytes it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def calls(cls, end: End) -> "Stranger":
        return cls(*await asyncio.open_connection(*parse_address(end.address)))

    async def greets(self, id: str = "stranger") -> None:
        self.writer.write(encode_greeting(greeting(id)))
        number, payload = await self.frame()
        assert number == FrameType.INFO
        assert decode_greeting(payload).id == "bert"

    async def frame(self) -> tuple[int, bytes]:
        async with asyncio.timeout(DEADLINE_S):
            header = await self.reader.readexactly(HEADER_BYTES)
            return header[4], await self.reader.readexactly(int.from_bytes(header[:4], "big"))

    async def rest(self) -> bytes:
        """All until the connection ends."""
        async with asyncio.timeout(DEADLINE_S):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""
            finally:
                self.writer.close()
