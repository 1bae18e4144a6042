from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from pcsc.vpcd import Order, VpcdClient
from tests.support.plain_card import ECHO, EXTENDED_ATR, READ, SLOW, PlainCard
from tests.support.waiting import LIMIT


class Driver:
    """The driver's side of the protocol."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(LIMIT)
        self.port: int = self.listener.getsockname()[1]
        self.link: socket.socket | None = None

    def accept(self) -> None:
        self.link, _ = self.listener.accept()
        self.link.settimeout(LIMIT)

    def send(self, message: bytes) -> None:
        assert self.link is not None
        # In two segments, as the driver does.
        self.link.sendall(len(message).to_bytes(2, "big"))
        self.link.sendall(message)

    def ask(self, message: bytes) -> bytes:
        self.send(message)
        return self.receive(int.from_bytes(self.receive(2), "big"))

    def receive(self, length: int) -> bytes:
        assert self.link is not None
        received = b""
        while len(received) < length:
            part = self.link.recv(length - len(received))
            if not part:
                raise ConnectionError
            received += part
        return received

    def close(self) -> None:
        if self.link is not None:
            self.link.close()
        self.listener.close()


@pytest.fixture
def driver() -> Iterator[Driver]:
    driver = Driver()
    yield driver
    driver.close()


@pytest.fixture
def card() -> PlainCard:
    return PlainCard()


@pytest.fixture
def client(driver: Driver, card: PlainCard) -> Iterator[VpcdClient]:
    with serving(driver, card) as client:
        yield client


@contextmanager
def serving(driver: Driver, card: PlainCard) -> Iterator[VpcdClient]:
    """The card in the driver's reader."""
    client = VpcdClient(card, port=driver.port)
    thread = threading.Thread(target=client.run)
    thread.start()
    try:
        driver.accept()
        yield client
    finally:
        client.stop()
        thread.join(LIMIT)
    assert not thread.is_alive()
    assert not client.connected


ATR = bytes((Order.ATR,))


def test_the_atr_is_answered_and_the_card_started_once_for_it(
    driver: Driver, client: VpcdClient, card: PlainCard
) -> None:
    assert driver.ask(ATR) == EXTENDED_ATR
    assert driver.ask(ATR) == EXTENDED_ATR
    assert card.log == ["on"]
    assert client.connected


def test_orders_reach_the_card_and_are_not_answered(
    driver: Driver, client: VpcdClient, card: PlainCard
) -> None:
    for order in (Order.POWER_ON, Order.RESET, Order.POWER_OFF):
        driver.send(bytes((order,)))
    assert driver.ask(ATR) == EXTENDED_ATR
    assert card.log == ["on", "on", "off"]


def test_an_order_that_is_none_is_ignored(driver: Driver, client: VpcdClient, card: PlainCard) -> None:
    driver.send(b"\x09")
    driver.send(b"")
    assert driver.ask(ATR) == EXTENDED_ATR


def test_commands_of_any_length_are_answered(driver: Driver, client: VpcdClient) -> None:
    content = bytes(60000)
    command = b"\x00\xec\x00\x00\x00" + len(content).to_bytes(2, "big") + content + b"\x00\x00"
    assert driver.ask(command) == content + b"\x90\x00"


def test_a_card_pulled_out_hangs_up_even_in_mid_command(
    driver: Driver, client: VpcdClient, card: PlainCard
) -> None:
    driver.send(bytes((0, SLOW, 5, 0)))
    assert card.slow.wait(LIMIT)
    client.remove()
    with pytest.raises(ConnectionError):
        driver.receive(2)


def test_a_card_put_in_again_comes_back_without_what_it_knew(
    driver: Driver, client: VpcdClient, card: PlainCard
) -> None:
    driver.ask(ATR)
    client.remove()
    with pytest.raises(ConnectionError):
        driver.receive(1)
    client.insert()
    driver.accept()
    assert driver.ask(ATR) == EXTENDED_ATR
    assert card.log == ["on", "off", "on"]


def test_a_service_that_comes_back_is_found_again(driver: Driver, client: VpcdClient) -> None:
    assert driver.link is not None
    driver.link.close()
    driver.accept()
    assert driver.ask(ATR) == EXTENDED_ATR


def test_a_driver_that_drops_every_card_is_not_stormed(driver: Driver, client: VpcdClient) -> None:
    started = time.monotonic()
    for _ in range(3):
        assert driver.link is not None
        driver.link.close()
        driver.accept()
    assert time.monotonic() - started >= 0.14


def test_waiting_for_a_driver_that_is_not_there_can_be_stopped(card: PlainCard) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = VpcdClient(card, port=port)
    thread = threading.Thread(target=client.run)
    thread.start()
    client.remove()
    client.insert()
    client.stop()
    thread.join(LIMIT)
    assert not thread.is_alive()


# A driver that is none: whoever listens on the port.


@pytest.mark.parametrize(
    "said",
    [b"\x00", b"\xff\xff", b"\xff\xff" + bytes(65534), b"\x00\x05\x00\xa4"],
    ids=["half a length", "a length alone", "a byte less than promised", "half a command"],
)
def test_a_message_that_never_ends_is_given_up_and_the_card_comes_back(
    driver: Driver, card: PlainCard, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr("pcsc.vpcd._FRAME_SECONDS", 0.2)
    with serving(driver, card):
        assert driver.link is not None
        driver.link.sendall(said)
        with pytest.raises(ConnectionError):
            driver.receive(1)
        driver.link.close()
        driver.accept()
        assert driver.ask(ATR) == EXTENDED_ATR


def test_a_driver_that_says_nothing_is_waited_for_and_can_be_left(driver: Driver, client: VpcdClient) -> None:
    client.remove()
    with pytest.raises(ConnectionError):
        driver.receive(1)


@pytest.mark.slow
def test_a_driver_that_takes_no_answers_is_given_up(
    driver: Driver, card: PlainCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pcsc.vpcd._FRAME_SECONDS", 0.5)
    command = bytes((0, ECHO, 0, 0, 0)) + (60000).to_bytes(2, "big") + bytes(60000)
    with serving(driver, card):
        assert driver.link is not None
        driver.link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with pytest.raises(OSError):
            while True:
                driver.send(command)
        driver.link.close()
        driver.accept()
        assert driver.ask(ATR) == EXTENDED_ATR


def test_an_answer_too_long_for_a_message_is_told_as_such(driver: Driver, client: VpcdClient) -> None:
    everything = bytes((0, READ, 0xFF, 0xFF, 0, 0, 0))
    assert driver.ask(everything) == bytes.fromhex("6700")
    assert driver.ask(ATR) == EXTENDED_ATR


def test_a_storm_of_lies_is_answered_or_dropped_and_the_card_comes_back(
    driver: Driver, card: PlainCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pcsc.vpcd._FRAME_SECONDS", 0.2)
    monkeypatch.setattr("pcsc.vpcd._LONGEST_PAUSE", 0.05)
    chance = random.Random(1)
    with serving(driver, card):
        threads = set(threading.enumerate())
        for _ in range(40):
            assert driver.link is not None
            with suppress(OSError):
                for _ in range(chance.randrange(5)):
                    driver.link.sendall(chance.randbytes(chance.randrange(400)))
            if chance.random() < 0.5:
                driver.link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST
            driver.link.close()
            driver.accept()
        assert driver.ask(ATR) == EXTENDED_ATR
        assert set(threading.enumerate()) <= threads


def test_a_card_never_takes_itself_for_the_driver(
    driver: Driver, card: PlainCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux gives the port to whoever connects, too, and then the connection may meet itself."""
    connect, made = socket.create_connection, list[socket.socket]()

    def once_to_itself(*address: Any, **more: Any) -> socket.socket:
        if made:
            return connect(*address, **more)
        own = socket.socket()
        own.bind(("127.0.0.1", 0))
        own.connect(own.getsockname())
        made.append(own)
        return own

    monkeypatch.setattr(socket, "create_connection", once_to_itself)
    with serving(driver, card):
        assert made[0].fileno() == -1
        assert driver.ask(ATR) == EXTENDED_ATR
