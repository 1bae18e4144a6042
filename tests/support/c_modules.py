"""PKCS#11 modules of a few lines of C: ones that crash, hang, print, or do as HiCOS' module does."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

needs_compiler = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")

# A module over another one: every function is the other's, but for those that a test replaces.
_SHIM = r"""
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long CK_RV, CK_ULONG;
typedef CK_RV (*Function)();
struct { unsigned char version[2]; Function functions[68]; } list, *inner;

enum {
    GET_SLOT_LIST = 4, GET_TOKEN_INFO = 6, SET_PIN = 11, LOGIN = 18, LOGOUT = 19, DECRYPT = 34, SIGN = 43
};

static int once(void) {  /* true the first time that any process asks, by a file */
    const char *path = getenv("TEST_MODULE_ONCE");
    return path && !unlink(path);
}

static void note(const char *what) {
    FILE *file = fopen(getenv("TEST_MODULE_LOG"), "a");
    fprintf(file, "%s\n", what);
    fclose(file);
}

static void crash(void) { raise(SIGSEGV); }

@BODY@

CK_RV C_GetFunctionList(void **result) {
    if (!inner) {
        void *module = dlopen(getenv("TEST_MODULE_INNER"), RTLD_NOW | RTLD_LOCAL);
        Function get = module ? (Function)dlsym(module, "C_GetFunctionList") : 0;
        if (!get || get(&inner)) return 5;
        memcpy(&list, inner, sizeof list);
        replace(list.functions);
    }
    *result = &list;
    return 0;
}
"""

CRASHES_ONCE_LISTING = r"""
static CK_RV slots(unsigned char present, CK_ULONG *found, CK_ULONG *count) {
    if (once()) crash();
    return inner->functions[GET_SLOT_LIST](present, found, count);
}
static void replace(Function *all) { all[GET_SLOT_LIST] = (Function)slots; }
"""

CRASHES_ONCE_SIGNING = r"""
static CK_RV sign(CK_ULONG s, void *data, CK_ULONG size, void *out, CK_ULONG *length) {
    if (once()) crash();
    return inner->functions[SIGN](s, data, size, out, length);
}
static void replace(Function *all) { all[SIGN] = (Function)sign; }
"""

HANGS_ONCE_SIGNING = r"""
static CK_RV sign(CK_ULONG s, void *data, CK_ULONG size, void *out, CK_ULONG *length) {
    if (once()) for (;;) pause();
    return inner->functions[SIGN](s, data, size, out, length);
}
static void replace(Function *all) { all[SIGN] = (Function)sign; }
"""

HANGS_LISTING = r"""
static CK_RV slots(unsigned char present, CK_ULONG *found, CK_ULONG *count) {
    note("C_GetSlotList");
    for (;;) pause();
}
static void replace(Function *all) { all[GET_SLOT_LIST] = (Function)slots; }
"""

AS_HICOS = r"""
static CK_RV sign(CK_ULONG s, void *data, CK_ULONG size, void *out, CK_ULONG *length) {
    if (!out) { note("C_Sign asked for a length"); *length = 0; return 0x30; }
    return inner->functions[SIGN](s, data, size, out, length);
}
static CK_RV decrypt(CK_ULONG s, void *data, CK_ULONG size, void *out, CK_ULONG *length) {
    if (!out) { note("C_Decrypt asked for a length"); *length = 0; return 0x30; }
    return inner->functions[DECRYPT](s, data, size, out, length);
}
static void replace(Function *all) { all[SIGN] = (Function)sign; all[DECRYPT] = (Function)decrypt; }
"""

NOISY = r"""
static CK_RV slots(unsigned char present, CK_ULONG *found, CK_ULONG *count) {
    char stolen;
    printf("module: C_GetSlotList\n"); fflush(stdout);
    (void)!write(1, "noise", 5); (void)!read(0, &stolen, 1);
    return inner->functions[GET_SLOT_LIST](present, found, count);
}
static void replace(Function *all) { all[GET_SLOT_LIST] = (Function)slots; }
"""

COUNTS_LOGINS = r"""
static CK_RV login(CK_ULONG s, CK_ULONG user, char *pin, CK_ULONG size) {
    note(user == 2 ? "C_Login context" : user ? "C_Login" : "C_Login officer");
    return inner->functions[LOGIN](s, user, pin, size);
}
static CK_RV logout(CK_ULONG s) { note("C_Logout"); return inner->functions[LOGOUT](s); }
static void replace(Function *all) { all[LOGIN] = (Function)login; all[LOGOUT] = (Function)logout; }
"""

# After a login it opens no session any more, as if it could not bear that the card was reset.
STALE_AFTER_LOGIN = r"""
enum { OPEN_SESSION = 12 };
static int used;
static CK_RV login(CK_ULONG s, CK_ULONG user, char *pin, CK_ULONG size) {
    used = 1;
    note("C_Login");
    return inner->functions[LOGIN](s, user, pin, size);
}
static CK_RV open_session(CK_ULONG slot, CK_ULONG flags, void *a, void *b, CK_ULONG *handle) {
    const char *refusal = getenv("TEST_MODULE_OPEN");
    if (used) return refusal ? strtoul(refusal, 0, 16) : 0x32;
    return inner->functions[OPEN_SESSION](slot, flags, a, b, handle);
}
static void replace(Function *all) {
    all[LOGIN] = (Function)login; all[OPEN_SESSION] = (Function)open_session;
}
"""

# Its slot is a reader of PC/SC, by the reader's name.
IN_A_READER = r"""
enum { GET_SLOT_INFO = 5 };
static CK_RV info(CK_ULONG slot, char *told) {
    CK_RV result = inner->functions[GET_SLOT_INFO](slot, told);
    const char *name = getenv("TEST_MODULE_READER");
    memset(told, ' ', 64);
    memcpy(told, name, strlen(name) < 64 ? strlen(name) : 64);
    return result;
}
static CK_RV sign(CK_ULONG s, void *data, CK_ULONG size, void *out, CK_ULONG *length) {
    note("C_Sign");
    return inner->functions[SIGN](s, data, size, out, length);
}
static void replace(Function *all) { all[GET_SLOT_INFO] = (Function)info; all[SIGN] = (Function)sign; }
"""

# The flags and the refusals of a token that locks, which SoftHSM never does; and of one with a keypad.
AS_TOLD = r"""
static CK_RV info(CK_ULONG slot, char *token) {
    CK_RV result = inner->functions[GET_TOKEN_INFO](slot, token);
    const char *flags = getenv("TEST_MODULE_FLAGS");
    if (flags) *(CK_ULONG *)(token + 96) |= strtoul(flags, 0, 16);
    if (getenv("TEST_MODULE_LENGTHS")) ((CK_ULONG *)(token + 96))[5] = ((CK_ULONG *)(token + 96))[6] = ~0ul;
    return result;
}
static CK_RV login(CK_ULONG s, CK_ULONG user, char *pin, CK_ULONG size) {
    const char *refusal = getenv("TEST_MODULE_LOGIN");
    note(pin ? "C_Login with a PIN" : "C_Login on the keypad");
    if (refusal) return strtoul(refusal, 0, 16);
    return inner->functions[LOGIN](s, user, pin ? pin : "123456", pin ? size : 6);
}
static CK_RV set_pin(CK_ULONG s, char *old, CK_ULONG size, char *new, CK_ULONG more) {
    note(old ? "C_SetPIN with PINs" : "C_SetPIN on the keypad");
    if (!old) return inner->functions[SET_PIN](s, "123456", 6ul, "654321", 6ul);
    return inner->functions[SET_PIN](s, old, size, new, more);
}
static void replace(Function *all) {
    all[GET_TOKEN_INFO] = (Function)info; all[LOGIN] = (Function)login; all[SET_PIN] = (Function)set_pin;
}
"""


def build(folder: Path, body: str, inner: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Compile the module that replaces functions of `inner` as `body` says; its file."""
    folder.mkdir(exist_ok=True)
    source, module = folder / "module.c", folder / "module.so"
    source.write_text(_SHIM.replace("@BODY@", body))
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-w", "-O0", "-o", str(module), str(source)],
        check=True,
        env=dict(os.environ),
    )
    module.chmod(0o755)
    once = folder / "once"
    once.write_bytes(b"")
    monkeypatch.setenv("TEST_MODULE_ONCE", str(once))
    monkeypatch.setenv("TEST_MODULE_INNER", str(inner))
    monkeypatch.setenv("TEST_MODULE_LOG", str(folder / "log"))
    return module


def noted(folder: Path) -> list[str]:
    """What the module wrote down."""
    log = folder / "log"
    return log.read_text().splitlines() if log.exists() else []
