from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from pcsc.vpcd import Order, VpcdClient
from tests.support.plain_card import EXTENDED_ATR, SLOW, PlainCard


class Driver:
    """The driver's side of the protocol."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(5)
        self.port: int = self.listener.getsockname()[1]
        self.link: socket.socket | None = None

    def accept(self) -> None:
        self.link, _ = self.listener.accept()
        self.link.settimeout(5)

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
    client = VpcdClient(card, port=driver.port)
    thread = threading.Thread(target=client.run)
    thread.start()
    driver.accept()
    yield client
    client.stop()
    thread.join(5)
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
    assert card.slow.wait(5)
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
    thread.join(5)
    assert not thread.is_alive()
