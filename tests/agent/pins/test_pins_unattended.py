from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.config import Config, OriginSettings, UnattendedSettings
from agent.errors import AgentError
from agent.interaction.scripted import Headless, ScriptedInteraction
from agent.pins.unattended import SERVICE, Grant, Unattended, system_keyring
from agent.vocabulary import Verb
from hca_card.errors import PinLastTryError
from hca_card.pin import Pin
from hca_card.recognise import recognise
from signing.hashes import Hash
from tests.support.keyrings import FakeKeyring
from tests.support.log import Log
from tests.support.operations import OTHER, OWN, PIN, PORTAL, World, agent

ORIGIN = str(PORTAL.origin)
DOCUMENT = "同意書".encode()
ON = Config(
    origins=OriginSettings(allow=frozenset((ORIGIN, str(OTHER.origin)))),
    unattended=UnattendedSettings(enabled=True),
)
ROOT = Path(__file__).parents[3]


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> FakeKeyring:
    fake = FakeKeyring()
    monkeypatch.setattr(
        "agent.pins.unattended.Unattended.__init__.__kwdefaults__", {"open_keyring": lambda: fake}
    )
    return fake


async def remembered(world: World, *origins: str, folders: tuple[str, ...] = ()) -> str:
    return await world.operations.remember_pin(OWN, Pin(PIN), Grant(origins, folders))


async def test_a_named_site_signs_without_anybody_being_asked_and_it_is_written_down(
    tmp_path: Path, keyring: FakeKeyring
) -> None:
    async with agent(tmp_path, "hpc", interaction=Headless(), config=ON) as world:
        serial = await remembered(world, ORIGIN)
        assert set(keyring.kept) == {(SERVICE, serial)}
        done = await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        await world.operations.verify(DOCUMENT, done.signature, done.certificate, done.hash)
        row = world.audit()[-1]
        assert (row.origin, row.verb, row.result, row.unattended) == (ORIGIN, Verb.SIGN, "ok", True)


async def test_another_site_other_work_and_other_folders_still_ask(
    tmp_path: Path, keyring: FakeKeyring
) -> None:
    async with agent(tmp_path, "hpc", config=ON) as world:
        await remembered(world, ORIGIN, folders=("/srv/forms",))
        await world.operations.sign(OTHER, Hash.SHA_256, document=DOCUMENT)
        await world.operations.sign(OWN, Hash.SHA_256, document=DOCUMENT)
        await world.operations.sign(OWN, Hash.SHA_256, document=DOCUMENT, folder=Path("/srv/forms-2"))
        with pytest.raises(Exception, match=r"(?i)cipher|decrypt"):
            await world.operations.decrypt(PORTAL, bytes(256))
        assert len(world.pins_asked()) == 4
        await world.operations.sign(OWN, Hash.SHA_256, document=DOCUMENT, folder=Path("/srv/forms/a"))
        assert len(world.pins_asked()) == 4
        assert [row.unattended for row in world.audit()][-1]


async def test_another_card_still_asks(tmp_path: Path, keyring: FakeKeyring) -> None:
    async with agent(tmp_path / "a", "hpc", config=ON) as world:
        await remembered(world, ORIGIN)
    async with agent(tmp_path / "b", "hop", config=ON) as world:
        await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        assert len(world.pins_asked()) == 1


async def test_turned_off_nothing_is_kept_or_found_but_can_be_deleted(
    tmp_path: Path, keyring: FakeKeyring
) -> None:
    async with agent(tmp_path / "on", "hpc", config=ON) as world:
        serial = await remembered(world, ORIGIN)
    off = Config(origins=ON.origins)
    async with agent(tmp_path / "off", "hpc", config=off) as world:
        with pytest.raises(AgentError) as caught:
            await remembered(world, ORIGIN)
        assert caught.value.error_id == "unattended.disabled"
        await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        assert len(world.pins_asked()) == 1
        assert await world.operations.forget_remembered_pin(serial)
        assert not await world.operations.forget_remembered_pin(serial)


async def test_a_pin_that_fails_once_is_gone(tmp_path: Path, keyring: FakeKeyring) -> None:
    async with agent(tmp_path, "hpc", interaction=Headless(), config=ON) as world:
        await remembered(world, ORIGIN)
        with world.other_program() as other, other.transaction() as transaction:
            recognise(transaction, other.atr).change_pin(Pin(PIN), Pin("654321"))
        with pytest.raises(AgentError) as caught:
            await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        assert caught.value.error_id == "pin.changed_elsewhere"
        assert world.tries == 2
        assert not keyring.kept
        row = world.audit()[-1]
        assert (row.result, row.unattended) == ("pin.changed_elsewhere", True)
        with pytest.raises(AgentError) as caught:
            await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        assert caught.value.error_id == "pin.unavailable"
        assert world.tries == 2


async def test_the_last_try_is_never_spent_unattended(tmp_path: Path, keyring: FakeKeyring) -> None:
    async with agent(tmp_path / "a", "hpc", interaction=Headless(), config=ON) as world:
        await remembered(world, ORIGIN)
    async with agent(tmp_path / "b", "hpc-last-try", interaction=Headless(), config=ON) as world:
        if (SERVICE, (await world.operations.card(OWN)).metadata.serial) not in keyring.kept:
            keyring.kept = {
                (SERVICE, (await world.operations.card(OWN)).metadata.serial): next(
                    iter(keyring.kept.values())
                )
            }
        with pytest.raises(PinLastTryError):
            await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        assert world.tries == 1


async def test_a_page_cannot_have_its_pin_kept(tmp_path: Path, keyring: FakeKeyring) -> None:
    async with agent(tmp_path, "hpc", config=ON) as world:
        with pytest.raises(AgentError) as caught:
            await world.operations.remember_pin(PORTAL, Pin(PIN), Grant((ORIGIN,)))
        assert caught.value.error_id == "origin.refused"
        assert not keyring.kept


async def test_a_wrong_pin_is_not_kept(tmp_path: Path, keyring: FakeKeyring) -> None:
    person = ScriptedInteraction(pins=["999999", PIN])
    async with agent(tmp_path, "hpc", interaction=person, config=ON) as world:
        with pytest.raises(Exception, match="try is spent"):
            await world.operations.remember_pin(OWN, None, Grant((ORIGIN,)))
        assert not keyring.kept
        await world.operations.remember_pin(OWN, None, Grant((ORIGIN,)))
        assert keyring.kept


async def test_a_keyring_that_fails_means_that_the_person_is_asked(
    tmp_path: Path, keyring: FakeKeyring, caplog: Log
) -> None:
    async with agent(tmp_path, "hpc", config=ON) as world:
        await remembered(world, ORIGIN)
        keyring.fails = True
        await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        assert len(world.pins_asked()) == 1
        with pytest.raises(AgentError) as caught:
            await remembered(world, ORIGIN)
        assert caught.value.error_id == "keyring.unavailable"
        assert caught.value.__cause__ is None
        assert PIN not in caplog.text + str(caught.value)


@pytest.mark.parametrize(
    "backend", ["keyring.backends.null.Keyring", "keyring.backends.fail.Keyring", "tests.plain.Keyring"]
)
def test_a_keyring_that_is_no_keyring_is_refused(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, _, name = backend.rpartition(".")
    fake = type(name, (), {"__module__": module, "priority": 99.0})()
    monkeypatch.setattr("keyring.backend.get_all_keyring", lambda: [fake])
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", backend)
    with pytest.raises(AgentError) as caught:
        system_keyring()
    assert caught.value.error_id == "keyring.unavailable"


def test_what_the_keyring_holds_never_prints() -> None:
    keyring = FakeKeyring()
    unattended = Unattended(enabled=True, open_keyring=lambda: keyring)  # type: ignore[arg-type,return-value]
    unattended.remember("1", Pin(PIN), Grant((ORIGIN,)))
    entry = unattended._read("1")
    assert PIN not in repr(entry)
    found = unattended.find("1", ORIGIN, None)
    assert found is not None and found.octets == PIN.encode()


SCRIPT = """
set -e
printf 'throwaway' | gnome-keyring-daemon --unlock --components=secrets >/dev/null
cd {root}
agent() {{ {python} -m agent "$@" --simulate hpc; }}
serial=$(agent card --json | {python} -c 'import json, sys; print(json.load(sys.stdin)["serial"])')
printf '123456\\n' | agent pin remember --folder {folder} --pin-stdin
agent sign {folder}/a.txt --force < /dev/null && echo SIGNED
{python} -m agent audit --json
printf '999999' | {python} -c 'import keyring, json, sys
from agent.pins.unattended import SERVICE, system_keyring
ring, number = system_keyring(), sys.argv[1]
entry = json.loads(ring.get_password(SERVICE, number)); entry["pin"] = sys.stdin.read()
ring.set_password(SERVICE, number, json.dumps(entry))' "$serial"
agent sign {folder}/a.txt --force < /dev/null || echo FAILED
agent pin forget --serial "$serial" || echo GONE
{python} -c 'import sys
from agent.pins.unattended import system_keyring
system_keyring().set_password("hca-agent", sys.argv[1], "what the guide says how to delete")' "$serial"
{python} -c 'import secretstorage
bus = secretstorage.dbus_init()
for item in list(secretstorage.search_items(bus, {{"service": "hca-agent"}})):
    item.delete()
    print("CLEARED")'
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Secret Service is Linux's")
def test_a_real_secret_service_keeps_the_pin_until_its_first_failure(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "forms"
    for each in (home, folder, tmp_path / "data"):
        each.mkdir()
    (home / "config.toml").write_text("[unattended]\nenabled = true\n")
    (folder / "a.txt").write_text("同意書")
    script = SCRIPT.format(
        root=ROOT,
        python=sys.executable,
        folder=folder,
    )
    done = subprocess.run(
        ["dbus-run-session", "--", "bash", "-c", script],
        capture_output=True,
        text=True,
        timeout=250,
        env={
            **os.environ,
            "HCA_AGENT_HOME": str(home),
            "XDG_DATA_HOME": str(tmp_path / "data"),
            "XDG_RUNTIME_DIR": str(tmp_path / "data"),
        },
        check=False,
    )
    said = done.stdout + done.stderr
    assert "SIGNED" in said, said
    assert '"unattended": true' in said or '"unattended":true' in said, said
    assert "FAILED" in said and "pin.changed_elsewhere" in said, said
    assert "GONE" in said, said
    assert said.count("CLEARED") == 1, said  # by the attribute that docs/it-guide.md names
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or PIN.encode() not in file.read_bytes(), file
