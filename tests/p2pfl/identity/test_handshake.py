"""The authentication matrix on the pure machines: each forgery is refused with its own code."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from p2pfl.errors import RemoteError
from p2pfl.identity.admission import MAX_PENDING, Admission, NotAdmittedError
from p2pfl.identity.handshake import AUTH, HELLO, ClientHandshake, Credentials, ServerHandshake
from p2pfl.identity.keys import Identity, identity_of, network_id, parse_id
from p2pfl.identity.transcript import TRANSCRIPT, Transcript
from p2pfl.trust import Trust

VERSION = (1, 0)
DEMO = network_id("demo")
NOBODY: frozenset[str] = frozenset()
NETWORK_KEY = bytes(range(32))


def someone(number: int) -> Identity:
    return identity_of(Ed25519PrivateKey.from_private_bytes(bytes([number] * 32)))


ANNA, BERT, CLEO = map(someone, (1, 2, 3))


def key_of(identity: Identity) -> bytes:
    return parse_id(identity.id)


@dataclass
class Conversation:
    """Anna dials Bert; who they are, whom they list, and what they speak can be changed."""

    client: Credentials = field(default_factory=lambda: Credentials(ANNA, DEMO, VERSION))
    server: Credentials = field(default_factory=lambda: Credentials(BERT, DEMO, VERSION))
    there: Admission = field(
        default_factory=lambda: Admission(Trust(frozenset({ANNA.id}), frozenset({ANNA.id})))
    )
    here: Admission = field(default_factory=lambda: Admission(Trust(frozenset({BERT.id}), NOBODY)))

    def begin(self) -> tuple[ClientHandshake, ServerHandshake]:
        client = ClientHandshake(self.client, self.here, server=self.server.key, nonce=b"c" * 32)
        return client, ServerHandshake(self.server, self.there, nonce=b"s" * 32, address="tcp://a:1")

    def auth(self) -> bytes:
        client, server = self.begin()
        return client.auth(server.hello())

    def run(self) -> str:
        client, server = self.begin()
        client.welcomed(server.welcome(client.auth(server.hello())))
        return server.peer


def refused(story: Callable[[], object], code: str) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        story()
    assert caught.value.code == code
    return caught.value


def closed() -> Admission:
    return Admission(Trust(NOBODY, NOBODY))


def test_a_listed_client_is_welcome_and_known_by_its_proved_id() -> None:
    assert Conversation().run() == ANNA.id


def test_the_transcript_has_180_bytes_in_the_published_places() -> None:
    said = Transcript((1, 2), (3, 4), b"n" * 32, b"S" * 32, b"C" * 32, b"s" * 32, b"c" * 32).encoded()

    assert len(said) == TRANSCRIPT.size == 180
    assert said[:16] == b"p2pnode-auth-v1\0"
    assert said[16:20] == bytes([1, 2, 3, 4])
    places = {20: b"n", 52: b"S", 84: b"C", 116: b"s", 148: b"c"}
    assert all(said[place : place + 32] == letter * 32 for place, letter in places.items())


def test_before_the_proof_a_server_says_its_version_and_a_nonce_and_no_more() -> None:
    _, server = Conversation().begin()

    assert server.hello() == b"P2PN" + bytes([1, 0]) + b"s" * 32


@pytest.mark.parametrize("length", [0, 5, 165, 167, 197, 199, 4000])
def test_a_proof_of_another_length_is_refused(length: int) -> None:
    _, server = Conversation().begin()

    refused(lambda: server.welcome(bytes(length)), "malformed")


def test_another_network_is_refused() -> None:
    refused(Conversation(client=Credentials(ANNA, network_id("other"), VERSION)).run, "wrong_network")


def test_a_server_of_another_major_version_is_refused_before_anything_is_proved() -> None:
    refused(Conversation(server=Credentials(BERT, DEMO, (2, 0))).auth, "wrong_version")


def test_a_client_of_another_major_version_is_told_both_versions() -> None:
    _, server = Conversation().begin()
    error = refused(lambda: server.welcome(b"P2PN\x07\x01" + bytes(160)), "wrong_version")

    assert error.what == "protocol version 7.1 there, 1.0 here"


def test_what_does_not_speak_the_protocol_is_refused_on_both_sides() -> None:
    client, server = Conversation().begin()

    refused(lambda: client.auth(b"HTTP" + bytes(HELLO.size - 4)), "wrong_version")
    refused(lambda: server.welcome(b"GET " + bytes(AUTH.size - 4)), "wrong_version")


@pytest.mark.parametrize("text", ["00" * 32, "01" + "00" * 31, "ec" + "ff" * 30 + "7f", "ec" + "ff" * 31])
def test_a_key_under_which_anybody_can_sign_is_refused(text: str) -> None:
    auth = bytearray(Conversation().auth())
    auth[38:70] = bytes.fromhex(text)
    _, server = Conversation().begin()

    refused(lambda: server.welcome(bytes(auth)), "weak_key")


def test_our_own_id_is_refused() -> None:
    mine = Credentials(BERT, DEMO, VERSION)
    refused(Conversation(client=mine, here=Admission(Trust(frozenset({BERT.id})))).run, "own_id")


def test_a_forged_signature_is_refused() -> None:
    auth = bytearray(Conversation().auth())
    auth[-1] ^= 1
    _, server = Conversation().begin()

    refused(lambda: server.welcome(bytes(auth)), "bad_signature")


def test_a_key_shown_without_its_secret_is_refused() -> None:
    auth = bytearray(Conversation(client=Credentials(CLEO, DEMO, VERSION)).auth())
    auth[38:70] = key_of(ANNA)  # CLEO signs and shows ANNA's key
    _, server = Conversation().begin()

    refused(lambda: server.welcome(bytes(auth)), "bad_signature")


def test_a_replayed_proof_is_refused_since_the_nonce_is_another() -> None:
    recorded = Conversation().auth()
    story = Conversation()
    server = ServerHandshake(story.server, story.there, nonce=b"t" * 32)

    refused(lambda: server.welcome(recorded), "bad_signature")


def test_a_proof_made_for_one_server_fails_at_any_other() -> None:
    """A man in the middle, CLEO, hands on what ANNA has proved to her."""
    between = Credentials(CLEO, DEMO, VERSION)
    client = ClientHandshake(
        Credentials(ANNA, DEMO, VERSION),
        Admission(Trust(frozenset({CLEO.id}))),
        server=between.key,
        nonce=b"c" * 32,
    )
    _, bert = Conversation().begin()

    refused(lambda: bert.welcome(client.auth(bert.hello())), "bad_signature")


def test_a_downgraded_version_breaks_the_signature() -> None:
    newer = Credentials(BERT, DEMO, (1, 9))
    client, server = Conversation(server=newer).begin()
    hello = bytearray(server.hello())
    hello[5] = 0  # somebody on the way says: minor version 0

    refused(lambda: server.welcome(client.auth(bytes(hello))), "bad_signature")


def test_a_stranger_is_remembered_and_told_what_it_takes() -> None:
    story = Conversation(there=closed())
    error = refused(story.run, "not_admitted")

    assert isinstance(error, NotAdmittedError)
    assert f"p2pnode trust add {ANNA.id}" in error.there
    assert story.there.pending == {ANNA.id: "tcp://a:1"}


def test_who_proves_nothing_is_not_remembered() -> None:
    story = Conversation(there=closed())
    auth = bytearray(story.auth())
    auth[-1] ^= 1
    _, server = story.begin()

    refused(lambda: server.welcome(bytes(auth)), "bad_signature")
    assert story.there.pending == {}


def test_the_list_of_strangers_is_bounded_and_a_denied_id_never_enters_it() -> None:
    door = Admission(Trust(NOBODY, NOBODY, deny=frozenset({BERT.id})))
    for number in range(2 * MAX_PENDING):
        with pytest.raises(NotAdmittedError):
            door.admit(f"id-{number}", has_network_key=False)
    with pytest.raises(NotAdmittedError):
        door.admit(BERT.id, has_network_key=True)

    assert len(door.pending) == MAX_PENDING
    assert "id-127" in door.pending
    assert BERT.id not in door.pending


def with_key(key: bytes | None) -> Admission:
    return Admission(Trust(NOBODY, NOBODY), network_key=key)


def test_the_network_key_makes_both_sides_members_of_both_lists() -> None:
    story = Conversation(here=with_key(NETWORK_KEY), there=with_key(NETWORK_KEY))

    assert story.run() == ANNA.id
    assert story.there.trust.accepts(ANNA.id)
    assert story.there.trust.shares_with(ANNA.id)
    assert story.here.trust.accepts(BERT.id)
    assert story.here.trust.shares_with(BERT.id)


@pytest.mark.parametrize("key", [None, bytes(32)])
def test_a_client_without_the_network_key_is_refused(key: bytes | None) -> None:
    here = Admission(Trust(frozenset({BERT.id}), NOBODY), network_key=key)
    error = refused(Conversation(here=here, there=with_key(NETWORK_KEY)).run, "not_admitted")

    assert isinstance(error, NotAdmittedError)
    assert "p2pnode join" in error.there


@pytest.mark.parametrize("key", [None, bytes(32)])
def test_a_server_without_the_network_key_is_refused_by_the_client(key: bytes | None) -> None:
    there = Admission(Trust(frozenset({ANNA.id}), NOBODY), network_key=key)

    refused(Conversation(here=with_key(NETWORK_KEY), there=there).run, "wrong_network_key")


def test_a_listed_server_needs_no_network_key() -> None:
    here = Admission(Trust(frozenset({BERT.id}), NOBODY), network_key=NETWORK_KEY)

    assert Conversation(here=here).run() == ANNA.id
    assert here.trust.proved == NOBODY


def test_deny_overrides_the_network_key() -> None:
    there = Admission(Trust(NOBODY, NOBODY, deny=frozenset({ANNA.id})), network_key=NETWORK_KEY)

    refused(Conversation(here=with_key(NETWORK_KEY), there=there).run, "not_admitted")


def test_only_listed_servers_are_dialled_unless_tickets_are_in_use() -> None:
    listed = Admission(Trust(frozenset({BERT.id}), None, observers=frozenset({CLEO.id})))
    tickets = Admission(Trust(NOBODY, NOBODY, deny=frozenset({CLEO.id})), network_key=NETWORK_KEY)

    assert [listed.may_dial(one.id) for one in (ANNA, BERT, CLEO)] == [False, True, True]
    assert [tickets.may_dial(one.id) for one in (ANNA, BERT, CLEO)] == [True, True, False]
    refused(lambda: listed.check_dialled(ANNA.id), "not_listed")


def test_a_welcome_that_nobody_asked_for_or_of_a_strange_length_is_refused() -> None:
    client, server = Conversation().begin()
    refused(lambda: client.welcomed(b""), "unexpected_frame")
    client.auth(server.hello())

    refused(lambda: client.welcomed(b"x"), "malformed")


@given(st.binary(max_size=300))
def test_any_bytes_are_answered_by_a_remote_error(payload: bytes) -> None:
    client, server = Conversation().begin()
    for take in (server.welcome, client.auth, client.welcomed):
        with pytest.raises(RemoteError):
            take(payload)


@given(st.integers(0, AUTH.size - 1), st.integers(1, 255))
def test_every_changed_byte_of_a_proof_is_noticed(place: int, change: int) -> None:
    story = Conversation()
    auth = bytearray(story.auth())
    auth[place] ^= change
    _, server = story.begin()

    with pytest.raises(RemoteError) as caught:
        server.welcome(bytes(auth))
    assert caught.value.code in {"wrong_version", "wrong_network", "weak_key", "bad_signature"}
