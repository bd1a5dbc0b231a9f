"""Discovery on the local network by multicast DNS (zeroconf): announce this node, browse for others.

A node that listens on the loopback speaks and listens on the loopback alone; any other on every interface.
The instance name holds the node's public key, so that it is unique without the second that probing for
conflicts would take.  Questions ask for multicast answers only: several daemons of one machine share port
5353, and a unicast answer would reach any one of them.  Everything heard is a hint (``records``).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress

from zeroconf import (
    BadTypeInNameException,
    DNSQuestionType,
    InterfaceChoice,
    IPVersion,
    NotRunningException,
    ServiceStateChange,
    Zeroconf,
)
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from p2pfl.discovery.discovery import Announcement, Hint
from p2pfl.discovery.interfaces import (
    LOOPBACK,
    Interface,
    announced_addresses,
    is_loopback,
    local_interfaces,
    usable_addresses,
)
from p2pfl.discovery.records import MAX_PEER_ADDRESSES, NETWORK_PREFIX_BYTES, Finds, encode_txt
from p2pfl.errors import TransportError

SERVICE_TYPE = "_p2pnode._tcp.local."
QUESTION_TIMEOUT_S = 3.0
MAX_QUESTIONS = 64  # instances asked about at once; more are found when they announce again

_NETWORK_CHARACTERS = 6  # of an instance name, so that one node may be in several networks
_FIX = "allow UDP 5353, or list peers under network.static and set network.mdns = false"


class MdnsDiscovery:
    """Finds the nodes of the same network on this machine or its local networks.

    ``interfaces`` are local IPv4 addresses to use instead of those that follow from where the node listens.
    """

    def __init__(self, *, interfaces: Sequence[str] | None = None) -> None:
        self._wanted = interfaces
        self._running = AsyncExitStack()
        self._ignored: Mapping[str, int] = {}

    @property
    def ignored(self) -> Mapping[str, int]:
        """How many records of others were ignored since the start, by reason."""
        return self._ignored

    async def start(self, announcement: Announcement, found: Callable[[Hint], None]) -> None:
        """Announce and browse; returns as soon as both have begun.

        Raises TransportError when multicast DNS cannot be used here; nothing is left behind then.
        """
        local = local_interfaces()
        is_local_only = is_loopback(announcement.host)
        interfaces = _interfaces_to_use(self._wanted, local, is_local_only=is_local_only)
        async with AsyncExitStack() as stack:
            zeroconf = _open(interfaces)
            stack.push_async_callback(zeroconf.async_close)  # says good-bye first
            await _wait_until_open(zeroconf)
            service = _service(announcement, local)
            # Its name is unique by construction: no probing, hence "cooperating".
            announcing = await zeroconf.async_register_service(service, cooperating_responders=True)
            stack.push_async_callback(_cancel, asyncio.ensure_future(announcing))
            finds = Finds(announcement)
            self._ignored = finds.ignored
            browser = _Browser(finds, local, found, is_local_only=is_local_only)
            stack.push_async_callback(browser.close)
            browsing = AsyncServiceBrowser(
                zeroconf.zeroconf,
                SERVICE_TYPE,
                handlers=[browser.changed],
                question_type=DNSQuestionType.QM,
            )
            stack.push_async_callback(browsing.async_cancel)
            self._running = stack.pop_all()

    async def close(self) -> None:
        """Take the announcement back with a good-bye and stop browsing."""
        await self._running.aclose()


class _Browser:
    """Turns what zeroconf sees into hints."""

    def __init__(
        self,
        finds: Finds,
        local: Sequence[Interface],
        found: Callable[[Hint], None],
        *,
        is_local_only: bool,
    ) -> None:
        self._finds = finds
        self._local = local
        self._found = found
        self._is_local_only = is_local_only
        self._questions: set[asyncio.Task[None]] = set()

    def changed(
        self, *, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        """An instance has appeared, changed or gone; called by zeroconf in the loop's thread."""
        if state_change is ServiceStateChange.Removed:
            self._report(self._finds.lose(name))
            return
        try:
            info = AsyncServiceInfo(service_type, name)
        except BadTypeInNameException:
            self._finds.count("malformed")
            return
        if info.load_from_cache(zeroconf):
            self._take(info)
        elif len(self._questions) < MAX_QUESTIONS:
            question = asyncio.get_running_loop().create_task(self._ask(zeroconf, info))
            self._questions.add(question)
            question.add_done_callback(self._questions.discard)
        else:
            self._finds.count("too_many")

    async def close(self) -> None:
        """Stop asking."""
        for question in tuple(self._questions):
            await _cancel(question)

    async def _ask(self, zeroconf: Zeroconf, info: AsyncServiceInfo) -> None:
        with suppress(NotRunningException):
            if await info.async_request(zeroconf, QUESTION_TIMEOUT_S * 1000, DNSQuestionType.QM):
                self._take(info)

    def _take(self, info: AsyncServiceInfo) -> None:
        addresses = usable_addresses(info.parsed_addresses(), self._local, is_local_only=self._is_local_only)
        self._report(self._finds.see(info.name, info.text or b"", addresses, port=info.port or 0))

    def _report(self, hints: Sequence[Hint]) -> None:
        for hint in hints:
            self._found(hint)


def _interfaces_to_use(
    wanted: Sequence[str] | None, local: Sequence[Interface], *, is_local_only: bool
) -> list[str] | InterfaceChoice:
    """The interfaces to speak on, all of them there (zeroconf leaks a socket where one is not)."""
    if wanted is None and not is_local_only:
        return InterfaceChoice.All
    chosen = [LOOPBACK] if wanted is None else list(wanted)
    known = {str(one.ip) for one in local if one.version == 4}
    missing = [interface for interface in chosen if interface not in known]
    if missing or not chosen:
        raise _no_mdns(f"no interface has the address {', '.join(missing) or '(none given)'}")
    return chosen


def _open(interfaces: list[str] | InterfaceChoice) -> AsyncZeroconf:
    try:
        return AsyncZeroconf(interfaces=interfaces, ip_version=IPVersion.V4Only)
    except (OSError, RuntimeError) as error:  # the port is taken, or there is no interface at all
        raise _no_mdns(str(error)) from error


async def _wait_until_open(zeroconf: AsyncZeroconf) -> None:
    try:
        await zeroconf.zeroconf.async_wait_for_start()
    except NotRunningException as error:
        raise _no_mdns("its sockets did not open") from error
    if not zeroconf.zeroconf.engine.senders:
        raise _no_mdns("no interface can multicast")


def _service(announcement: Announcement, local: Sequence[Interface]) -> AsyncServiceInfo:
    key = announcement.id.replace("-", "")
    label = f"{key}-{announcement.network[:NETWORK_PREFIX_BYTES].hex()[:_NETWORK_CHARACTERS]}"
    return AsyncServiceInfo(
        SERVICE_TYPE,
        f"{label}.{SERVICE_TYPE}",
        port=announcement.port,
        properties=encode_txt(announcement),
        server=f"{label}.local.",
        parsed_addresses=announced_addresses(announcement.host, local, limit=MAX_PEER_ADDRESSES),
    )


async def _cancel(task: asyncio.Future[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _no_mdns(why: str) -> TransportError:
    return TransportError(f"multicast DNS cannot be used: {why}", fix=_FIX)
