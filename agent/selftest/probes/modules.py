"""Host row about PKCS#11 modules, where the configuration lists any."""

from __future__ import annotations

from typing import Final

from agent.pkcs11_modules import ModuleView
from agent.selftest.context import ProbeContext
from agent.selftest.model import Finding, failed, passed, probe


@probe("host.modules", "PKCS#11 模組", "PKCS#11 modules")
async def modules(context: ProbeContext) -> Finding:
    """Check that the modules can be loaded, and list the readers that each serves."""
    await context.operations.readers(context.caller)
    words = [_words(view) for view in context.operations.modules]
    zh, en = "；".join(one for one, _ in words), "; ".join(one for _, one in words)
    broken = next((view.error for view in context.operations.modules if view.error is not None), None)
    if broken is not None:
        return failed(broken, zh, en)
    return passed(zh, en)


def _words(view: ModuleView) -> tuple[str, str]:
    if view.error is not None:
        return f"{view.path}：無法使用", f"{view.path}: cannot be used"
    if not view.readers:
        return f"{view.path}：沒有看到卡片", f"{view.path}: sees no card"
    return f"{view.path}：{'、'.join(view.readers)}", f"{view.path}: {', '.join(view.readers)}"


PROBES: Final = (modules,)
