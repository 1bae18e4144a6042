"""The same code with a real pcscd. Functions without `test_` run inside its namespaces, in a new process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pcsc.apdu import Command
from pcsc.connection import Connection
from pcsc.context import Context
from pcsc.errors import (
    CardRemovedError,
    CardResetError,
    NoCardError,
    PcscError,
    ReaderBusyError,
    ReaderUnavailableError,
    ServiceRestartedError,
    ServiceUnavailableError,
)
from pcsc.service import Service
from pcsc.virtual import VirtualWinscard
from pcsc.vpcd import VpcdClient
from pcsc.winscard import Disposition
from tests.support.pcscd import READERS, PrivatePcscd, kill_process, pcscd_fixture, private_pcscd
from tests.support.plain_card import ECHO, EXTENDED_ATR, PIN, READ, SLOW, TRIES, VERIFY, PlainCard
from tests.support.platforms import not_on_windows
from tests.support.waiting import LIMIT

pytestmark = pytest.mark.pcscd
pcscd = pcscd_fixture()

READER = READERS[0]
VERIFY_PIN = Command(0, VERIFY, 0, 1, PIN, secret=True)
IS_VERIFIED = Command(0, TRIES, 0, 0, le=1)
SCRIPT = (
    Command(0, READ, 0x00, 0x10, le=256),
    Command(0, READ, 0x10, 0x00, le=65536),
    Command(0, ECHO, 0, 0, b"hello", le=256),
    Command(0, ECHO, 0, 0, bytes(range(256)) * 8, le=65536),
    Command(0, ECHO, 0, 0, bytes(300)),
    Command(0, VERIFY, 0, 1, b"000000", secret=True),
    VERIFY_PIN,
    IS_VERIFIED,
    Command(0, 0x99, 0, 0),
)


@contextmanager
def card_in_reader(card: PlainCard) -> Iterator[VpcdClient]:
    """Hold a card into the first reader."""
    client = VpcdClient(card)
    thread = threading.Thread(target=client.run)
    thread.start()
    try:
        with Service.system().context() as context:
            wait_until(context, present=True)
        yield client
    finally:
        client.stop()
        thread.join()


def wait_until(context: Context, *, present: bool) -> None:
    while (state := context.states([READER])[0]).present != present:
        assert context.wait([state], 5), state


@contextmanager
def connected(card: PlainCard) -> Iterator[tuple[Connection, Context, VpcdClient]]:
    with (
        card_in_reader(card) as client,
        Service.system().context() as context,
        Connection(context, READER) as connection,
    ):
        yield connection, context, client


def error_of(work: Callable[[], object]) -> type[BaseException] | None:
    try:
        work()
    except PcscError as trouble:
        return type(trouble)
    return None


def play(service: Service) -> list[tuple[bytes, int]]:
    with (
        service.context() as context,
        Connection(context, READER) as connection,
        connection.transaction() as transaction,
    ):
        answers = [transaction.send(command) for command in SCRIPT]
        return [(answer.data, answer.sw) for answer in answers]


def play_through_pcscd(extended: bool) -> list[tuple[bytes, int]]:
    with card_in_reader(PlainCard(extended=extended)):
        return play(Service.system())


@pytest.mark.parametrize("extended", [True, False])
def test_one_script_has_the_same_answers_in_process_and_through_pcscd(
    pcscd: PrivatePcscd, extended: bool
) -> None:
    winscard = VirtualWinscard()
    winscard.add_reader(READER).insert(PlainCard(extended=extended))
    assert pcscd.call(play_through_pcscd, extended) == play(Service(winscard))


def look_around() -> tuple[list[str], type[BaseException] | None, type[BaseException] | None]:
    with Service.system().context() as context:
        return (
            context.readers(),
            error_of(lambda: Connection(context, READER)),
            error_of(lambda: Connection(context, "nowhere")),
        )


def test_empty_readers_are_listed_and_named_as_empty(pcscd: PrivatePcscd) -> None:
    assert pcscd.call(look_around) == (list(READERS), NoCardError, ReaderUnavailableError)


def service_error() -> type[BaseException] | None:
    return error_of(lambda: Service.system().context())


def test_a_service_that_does_not_run_is_named_so_whether_it_crashed_or_ended(pcscd: PrivatePcscd) -> None:
    pcscd.kill()
    assert pcscd.call(service_error) is ServiceUnavailableError
    pcscd.start()
    assert pcscd.call(service_error) is None
    pcscd.stop()
    assert pcscd.call(service_error) is ServiceUnavailableError


def time_fifty_commands() -> float:
    with connected(PlainCard()) as (connection, _, _), connection.transaction() as transaction:
        started = time.monotonic()
        for _ in range(50):
            transaction.send(IS_VERIFIED)
        return time.monotonic() - started


@not_on_windows("the card's side has no way there to acknowledge at once")
def test_a_command_does_not_wait_for_a_delayed_acknowledgement(pcscd: PrivatePcscd) -> None:
    # With it, they take two seconds at the least; a busy machine is busy now and then.
    assert any(pcscd.call(time_fifty_commands) < 1 for _ in range(5))


def pull_in_mid_command() -> tuple[type[BaseException] | None, bytes, int, int]:
    card = PlainCard()
    with connected(card) as (connection, context, client):
        before = connection.start_counter

        def command() -> None:
            with connection.transaction() as transaction:
                threading.Timer(0.3, client.remove).start()
                transaction.send(Command(0, SLOW, 100, 0))

        error = error_of(command)
        wait_until(context, present=False)
        client.insert()
        wait_until(context, present=True)
        with Connection(context, READER) as again:
            return error, again.atr, before, again.start_counter


def test_a_card_pulled_in_mid_command_is_named_as_removed_and_can_come_back(pcscd: PrivatePcscd) -> None:
    error, atr, before, after = pcscd.call(pull_in_mid_command)
    assert (error, atr, after) == (CardRemovedError, EXTENDED_ATR, before + 2)


def swap_between_transactions() -> tuple[type[BaseException] | None, type[BaseException] | None]:
    with connected(PlainCard()) as (connection, context, client):
        client.remove()
        wait_until(context, present=False)
        client.insert()
        wait_until(context, present=True)
        return error_of(connection.transaction().__enter__), error_of(connection.reset)


def test_a_card_pulled_between_transactions_ends_the_connection(pcscd: PrivatePcscd) -> None:
    assert pcscd.call(swap_between_transactions) == (CardRemovedError, CardRemovedError)


def meet_other_programs() -> list[object]:
    seen: list[object] = []
    card = PlainCard()
    with connected(card) as (connection, _, _), Service.system().context() as elsewhere:
        other = Connection(elsewhere, READER)
        other.reset()
        with connection.transaction() as transaction:
            transaction.before_end(lambda: transaction.send(Command(0, VERIFY, 0xFF, 1)))
            transaction.send(VERIFY_PIN)
        with other.transaction() as transaction:
            seen.append(transaction.send(IS_VERIFIED).data)
        with connection.transaction() as transaction:
            transaction.before_end(lambda: 1 / 0)
            transaction.send(VERIFY_PIN)
        with other.transaction() as transaction:
            seen.append(transaction.send(IS_VERIFIED).data)
        seen.append(error_of(lambda: Connection(elsewhere, READER, exclusive=True)))
        connection._winscard.SCardDisconnect(other.handle, Disposition.UNPOWER)
        with connection.transaction() as transaction:
            seen.append(transaction.send(IS_VERIFIED).sw)
        connection.close()
        with Connection(elsewhere, READER, exclusive=True), Service.system().context() as third:
            seen.append(error_of(lambda: Connection(third, READER)))
    return seen


def test_other_programs_find_no_verified_pin_and_are_survived(pcscd: PrivatePcscd) -> None:
    assert pcscd.call(meet_other_programs) == [b"\x00", b"\x00", ReaderBusyError, 0x9000, ReaderBusyError]


def reset_in_mid_transaction() -> type[BaseException] | None:
    with connected(PlainCard()) as (connection, _, _):

        def work() -> None:
            with connection.transaction() as transaction:
                # Letting go of it by hand is what Windows does to a transaction that is idle for long.
                connection._winscard.SCardEndTransaction(connection.handle, Disposition.RESET)
                transaction.send(IS_VERIFIED)

        return error_of(work)


def test_a_card_reset_in_mid_transaction_is_named_as_reset(pcscd: PrivatePcscd) -> None:
    assert pcscd.call(reset_in_mid_transaction) is CardResetError


def use_while_pcscd_dies(pid: int) -> tuple[type[BaseException] | None, type[BaseException] | None]:
    with connected(PlainCard()) as (connection, context, _):

        def work() -> None:
            with connection.transaction() as transaction:
                threading.Timer(0.3, kill_process, (pid,)).start()
                transaction.send(Command(0, SLOW, 200, 0))

        return error_of(work), error_of(lambda: context.wait([]))


def test_a_service_killed_in_mid_command_is_named_as_not_running(pcscd: PrivatePcscd) -> None:
    assert pcscd.call(use_while_pcscd_dies, pcscd.pid) == (ServiceRestartedError, ServiceUnavailableError)


class Watched:
    """`tests.support.watched_card` at work."""

    def __init__(self, pcscd: PrivatePcscd) -> None:
        self.process: subprocess.Popen[str] = pcscd.popen(
            [sys.executable, "-m", "tests.support.watched_card"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.told: list[dict[str, Any]] = []

    def say(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def read_until(self, present: bool | None) -> None:
        """Read on until the first reader is told as full, empty, or (None) gone with the service."""
        assert self.process.stdout is not None
        while True:
            line = self.process.stdout.readline()
            assert line, f"the program ended after {self.told[-3:]}"
            self.told.append(json.loads(line))
            if self.told[-1]["present"].get(READER) is present:
                return


@pytest.mark.slow
def test_thirty_restarts_and_swaps_lose_no_event_no_thread_and_no_descriptor(pcscd: PrivatePcscd) -> None:
    watched = Watched(pcscd)
    try:
        watched.read_until(True)
        marks = []
        for _ in range(30):
            pcscd.restart()
            watched.read_until(None)
            watched.read_until(True)
            watched.say("remove")
            watched.read_until(False)
            watched.say("insert")
            watched.read_until(True)
            marks.append((watched.told[-1]["descriptors"], watched.told[-1]["threads"]))
        # One that is just going may be counted still; those that stay would be counted ever after.
        assert min(marks[15:]) == min(marks[:15]), marks
        assert sum(told["present"] == {} for told in watched.told) == 30
        watched.say("quit")
        assert watched.process.wait(LIMIT) == 0
    finally:
        watched.process.kill()
        watched.process.wait()


def list_readers() -> list[str]:
    with Service.system().context() as context:
        return context.readers()


@not_on_windows("its service is the machine's: a second one needs namespaces")
def test_two_private_services_know_nothing_of_each_other(pcscd: PrivatePcscd) -> None:
    with private_pcscd() as other:
        other.kill()
        assert pcscd.call(list_readers) == list(READERS)
        with pytest.raises(AssertionError, match="ServiceUnavailableError"):
            other.call(list_readers)
