"""Frames of the failure detector: heartbeats and the rumours that ride on them."""

from p2pfl.errors import RemoteError
from p2pfl.membership import MAX_RUMOURS, Heartbeat, Rumour, State
from p2pfl.wire.framing import FrameType, frame
from p2pfl.wire.record import MAX_TEXT, Record, is_word, pack, unpack

MAX_ROSTER_HASH = 32  # bytes


def encode_heartbeat(heartbeat: Heartbeat) -> bytes:
    """The frame of a heartbeat."""
    if len(heartbeat.roster) > MAX_ROSTER_HASH or len(heartbeat.rumours) > MAX_RUMOURS:
        raise ValueError(f"a heartbeat with {len(heartbeat.rumours)} rumours, at most {MAX_RUMOURS}")
    values = {
        "incarnation": heartbeat.incarnation,
        "roster": heartbeat.roster,
        "rumours": [_encode_rumour(rumour) for rumour in heartbeat.rumours],
    }
    return frame(FrameType.HEARTBEAT, pack(values))


def decode_heartbeat(payload: bytes) -> Heartbeat:
    """The heartbeat in a frame; raises RemoteError."""
    record = unpack(payload)
    rumours = record.items("rumours", at_most=MAX_RUMOURS)
    return Heartbeat(
        incarnation=record.integer("incarnation"),
        roster=record.octets("roster", at_most=MAX_ROSTER_HASH),
        rumours=tuple(_decode_rumour(values) for values in rumours),
    )


def _encode_rumour(rumour: Rumour) -> dict[str, object]:
    if not is_word(rumour.member):
        raise ValueError(f"a node id of printable characters, not {rumour.member!r}")
    return {
        "member": rumour.member,
        "incarnation": rumour.incarnation,
        "state": int(rumour.state),
        "name": rumour.name[:MAX_TEXT],
        "address": rumour.address[:MAX_TEXT],
    }


def _decode_rumour(values: object) -> Rumour:
    if not isinstance(values, dict):
        raise RemoteError("a rumour that is no map")
    record = Record(values)
    state = record.integer("state")
    if state not in (State.ALIVE, State.SUSPECT, State.DEAD):
        raise RemoteError(f"an unknown state of a member: {state}")
    return Rumour(
        member=record.word("member"),
        incarnation=record.integer("incarnation"),
        state=State(state),
        name=record.text("name"),
        address=record.text("address"),
    )
