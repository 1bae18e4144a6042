"""The page that files are dropped on, in a real browser."""

from __future__ import annotations

from pathlib import Path

from signing.cms.build import CmsForm, sign_cms
from signing.hashes import Hash
from tests.browser.conftest import Authorities
from tests.browser.test_browser_selftest import agent_with, window_of
from tests.support import axe
from tests.support.software_card import SoftwareCard


async def test_files_dropped_are_told_for_what_they_are_worth(
    authorities: Authorities, tmp_path: Path
) -> None:
    document, name = "病歷摘要".encode(), "<b>病歷</b>.txt"
    message = sign_cms(SoftwareCard(), document, Hash.SHA_256, CmsForm(detached=True))
    files = [
        {"name": name, "mimeType": "text/plain", "buffer": document},
        {"name": f"{name}.p7s", "mimeType": "application/pkcs7-signature", "buffer": message},
        {"name": "plain.txt", "mimeType": "text/plain", "buffer": b"nothing signed"},
    ]
    faults: list[str] = []
    async with (
        agent_with(authorities, tmp_path / "agent", "hpc") as agent,
        window_of(authorities, tmp_path / "browser") as window,
    ):
        page = await window.new_page()
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        await page.goto(f"{agent.tls}/verify")
        await page.set_input_files("#files", files)
        await page.locator(".report").nth(1).wait_for()
        titles = await page.locator(".report h2").all_text_contents()
        assert titles == [f"? {name}", "? plain.txt"]
        first = page.locator(".report").first
        assert "測試" in await first.locator("summary").text_content()
        assert "未改變" in await first.text_content()
        assert await page.locator("b").count() == 0  # a file's name is text and nothing else
        await page.evaluate(axe.source())
        assert axe.serious(await page.evaluate(axe.AUDIT)) == []
        files[0]["buffer"] = document + b"!"
        await page.set_input_files("#files", files)
        await page.wait_for_selector(".report[data-state=bad]")
        assert "簽章無效" in await page.locator(".report[data-state=bad]").text_content()
    assert not faults
