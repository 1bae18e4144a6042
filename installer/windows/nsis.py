r"""The source of the setup program, for NSIS 3.

Silent: `setup.exe /S [/AllUsers | /CurrentUser] [/AUTOSTART=0] [/PORTS="…"] [/ALLOWED_ORIGINS="…"]
[/POLICY_FILE=…] [/BROWSER_POLICIES=1]`, and `uninstall.exe /S [/REMOVE_DATA]`. As in the MSI, what was typed
goes into the registry and is checked by the program; no command has any of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from product import MAKER, NAME, PROPERTIES, RUN_KEY, SETUP_KEY, SHORTCUTS, Product

_UNINSTALL = r"Software\Microsoft\Windows\CurrentVersion\Uninstall\HCA Card Agent"


def source(product: Product, templates: Sequence[Path], out: Path) -> str:
    """Return the whole source.

    Args:
        product: what is packed.
        templates: the templates of group policy.
        out: the setup program that is to be made.
    """
    icon = _quoted(product.icon)
    return rf"""Unicode true
Target amd64-unicode
SetCompressor /SOLID lzma
Name {_quoted(product.title)}
OutFile {_quoted(out)}
ManifestDPIAware true
BrandingText " "
VIProductVersion "{product.version}.0"
VIAddVersionKey /LANG=1028 "ProductName" {_quoted(product.title)}
VIAddVersionKey /LANG=1028 "FileDescription" {_quoted(product.title)}
VIAddVersionKey /LANG=1028 "FileVersion" "{product.version}"
VIAddVersionKey /LANG=1028 "ProductVersion" "{product.version}"
VIAddVersionKey /LANG=1028 "CompanyName" "{MAKER}"
VIAddVersionKey /LANG=1028 "LegalCopyright" "Apache License 2.0"
!define MULTIUSER_EXECUTIONLEVEL Highest
!define MULTIUSER_MUI
!define MULTIUSER_INSTALLMODE_COMMANDLINE
!define MULTIUSER_USE_PROGRAMFILES64
!define MULTIUSER_INSTALLMODE_INSTDIR "{NAME}"
!define MULTIUSER_INSTALLMODE_INSTDIR_REGISTRY_KEY "{SETUP_KEY}"
!define MULTIUSER_INSTALLMODE_INSTDIR_REGISTRY_VALUENAME "Folder"
!define MULTIUSER_INSTALLMODE_DEFAULT_REGISTRY_KEY "{SETUP_KEY}"
!define MULTIUSER_INSTALLMODE_DEFAULT_REGISTRY_VALUENAME "Folder"
!include MultiUser.nsh
!include MUI2.nsh
!include FileFunc.nsh
!include LogicLib.nsh
!include x64.nsh
!define MUI_ICON {icon}
!define MUI_UNICON {icon}
!insertmacro MUI_PAGE_WELCOME
!insertmacro MULTIUSER_PAGE_INSTALLMODE
!insertmacro MUI_PAGE_INSTFILES
!define MUI_FINISHPAGE_RUN "$INSTDIR\hca-agentw.exe"
!define MUI_FINISHPAGE_RUN_PARAMETERS "open"
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_INSTFILES
!insertmacro MUI_LANGUAGE "TradChinese"
!insertmacro MUI_LANGUAGE "English"

Var Scope
Var Answer
Var Data
Var Upgrade

!macro ScopeWords
  ${{If}} $MultiUser.InstallMode == "AllUsers"
    StrCpy $Scope "--machine"
  ${{Else}}
    StrCpy $Scope ""
  ${{EndIf}}
!macroend

Function .onInit
  SetRegView 64
  !insertmacro MULTIUSER_INIT
FunctionEnd

Section "install"
  !insertmacro ScopeWords
  StrCpy $Upgrade ""
  ${{If}} ${{FileExists}} "$INSTDIR\hca-agentw.exe"
    StrCpy $Upgrade "yes"
    ExecWait '"$INSTDIR\hca-agentw.exe" windows-setup end'
    RMDir /r "$INSTDIR\_internal"
  ${{EndIf}}
  SetOutPath "$INSTDIR"
  File /r {_quoted(product.frozen / "*")}
{_templates(templates)}
  WriteUninstaller "$INSTDIR\uninstall.exe"
  WriteRegStr SHCTX "{SETUP_KEY}" "Folder" "$INSTDIR"
  ${{GetParameters}} $0
{_properties()}
  ClearErrors
  ${{GetOptions}} $0 "/AUTOSTART=" $1
  ${{If}} $1 == "0"
    DeleteRegValue SHCTX "{RUN_KEY}" "{NAME}"
    StrCpy $Upgrade ""
  ${{Else}}
    WriteRegStr SHCTX "{RUN_KEY}" "{NAME}" '"$INSTDIR\hca-agentw.exe" run'
  ${{EndIf}}
  CreateDirectory "$SMPROGRAMS\{NAME}"
{_shortcuts()}
  WriteRegStr SHCTX "{_UNINSTALL}" "DisplayName" {_quoted(product.title)}
  WriteRegStr SHCTX "{_UNINSTALL}" "DisplayVersion" "{product.version}"
  WriteRegStr SHCTX "{_UNINSTALL}" "Publisher" "{MAKER}"
  WriteRegStr SHCTX "{_UNINSTALL}" "DisplayIcon" "$INSTDIR\hca-agentw.exe"
  StrCpy $1 '"$INSTDIR\uninstall.exe" /$MultiUser.InstallMode'
  WriteRegStr SHCTX "{_UNINSTALL}" "UninstallString" $1
  WriteRegStr SHCTX "{_UNINSTALL}" "QuietUninstallString" "$1 /S"
  WriteRegDWORD SHCTX "{_UNINSTALL}" "NoModify" 1
  WriteRegDWORD SHCTX "{_UNINSTALL}" "NoRepair" 1
  ExecWait '"$INSTDIR\hca-agentw.exe" windows-setup apply $Scope' $Answer
  ${{If}} $Answer <> 0
    StrCpy $1 "$TEMP\hca-agent-setup.log"
    MessageBox MB_ICONSTOP|MB_OK "設定有誤，請看 · The settings are not right; see$\r$\n$1" /SD IDOK
    SetErrorLevel 2
    Call TakeAway
    Abort
  ${{EndIf}}
  ${{If}} $Upgrade == "yes"
    ExecWait '"$INSTDIR\hca-agentw.exe" windows-setup start $Scope'
  ${{EndIf}}
  ${{IfNot}} ${{Silent}}
    nsExec::ExecToLog '"$INSTDIR\hca-agent.exe" windows-setup vendor'
    Pop $Answer
  ${{EndIf}}
SectionEnd

!macro TakeAway un
Function ${{un}}TakeAway
  SetOutPath "$TEMP"
  Delete "$SMPROGRAMS\{NAME}\*.lnk"
  RMDir "$SMPROGRAMS\{NAME}"
  DeleteRegValue SHCTX "{RUN_KEY}" "{NAME}"
  DeleteRegKey SHCTX "{_UNINSTALL}"
  DeleteRegKey SHCTX "{SETUP_KEY}"
  DeleteRegKey /ifempty SHCTX "Software\{NAME}"
  RMDir /r "$INSTDIR\_internal"
  RMDir /r "$INSTDIR\PolicyDefinitions"
  Delete "$INSTDIR\hca-agent.exe"
  Delete "$INSTDIR\hca-agentw.exe"
  Delete "$INSTDIR\uninstall.exe"
  RMDir "$INSTDIR"
FunctionEnd
!macroend
!insertmacro TakeAway ""
!insertmacro TakeAway "un."

Function un.onInit
  SetRegView 64
  !insertmacro MULTIUSER_UNINIT
FunctionEnd

Section "un.install"
  !insertmacro ScopeWords
  ${{GetParameters}} $0
  StrCpy $Data "keep"
  ClearErrors
  ${{GetOptions}} $0 "/REMOVE_DATA" $1
  ${{IfNot}} ${{Errors}}
    StrCpy $Data "remove"
  ${{ElseIfNot}} ${{Silent}}
    StrCpy $1 "要一併刪除您的設定與紀錄嗎？$\r$\nDelete your settings and logs too?"
    MessageBox MB_YESNO|MB_DEFBUTTON2 $1 IDNO +2
    StrCpy $Data "remove"
  ${{EndIf}}
  ExecWait '"$INSTDIR\hca-agentw.exe" windows-setup remove $Scope' $Answer
  ${{If}} $Data == "remove"
    ExecWait '"$INSTDIR\hca-agentw.exe" windows-setup forget-data'
  ${{EndIf}}
  Call un.TakeAway
  ${{If}} $Answer <> 0
    SetErrorLevel 2
  ${{EndIf}}
SectionEnd
"""


def _properties() -> str:
    return "\n".join(
        f"""  ClearErrors
  ${{GetOptions}} $0 "/{name}=" $1
  WriteRegStr SHCTX "{SETUP_KEY}" "{value}" $1"""
        for name, value in PROPERTIES
    )


def _shortcuts() -> str:
    return "\n".join(
        rf'  CreateShortcut "$SMPROGRAMS\{NAME}\{name}.lnk" "$INSTDIR\hca-agentw.exe" "{words}"'
        for name, words in SHORTCUTS
    )


def _templates(files: Sequence[Path]) -> str:
    top = files[0].parent
    lines = []
    for file in files:
        inner = file.parent.relative_to(top).parts
        lines.append(f'  SetOutPath "{chr(92).join(("$INSTDIR", "PolicyDefinitions", *inner))}"')
        lines.append(f"  File {_quoted(file)}")
    return "\n".join(lines)


def _quoted(text: object) -> str:
    return '"' + str(text).replace("$", "$$").replace('"', '$\\"') + '"'
