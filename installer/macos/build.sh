#!/bin/bash
# Builds dist/hca-agent-VERSION.pkg from the frozen program in dist/hca-agent (installer/build.py frozen).
#
# Without these variables the package is unsigned: good for a try, refused by Gatekeeper elsewhere.
#   CODESIGN_IDENTITY    "Developer ID Application: … (TEAMID)", in the keychain
#   INSTALLER_IDENTITY   "Developer ID Installer: … (TEAMID)", in the keychain
#   NOTARY_KEY           file of an App Store Connect API key (.p8), with
#   NOTARY_KEY_ID, NOTARY_ISSUER
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
dist=$root/dist
frozen=$dist/hca-agent
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$root/agent/__init__.py")
package=$dist/hca-agent-$version.pkg

test "$(uname -s)" = Darwin || { echo "build.sh: macOS alone has pkgbuild" >&2; exit 1; }
test -x "$frozen/hca-agent" || { echo "build.sh: run installer/build.py frozen first" >&2; exit 1; }
test -n "$version" || { echo "build.sh: agent/__init__.py names no version" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
payload=$work/payload
mkdir -p "$payload/usr/local/lib" "$payload/usr/local/bin" "$payload/Library/LaunchAgents"
ditto "$frozen" "$payload/usr/local/lib/hca-agent"
install -m 755 "$here/uninstall.sh" "$payload/usr/local/lib/hca-agent/uninstall.sh"
install -m 644 "$here/tw.hca-agent.plist" "$payload/Library/LaunchAgents/tw.hca-agent.plist"
ln -s ../lib/hca-agent/hca-agent "$payload/usr/local/bin/hca-agent"

sign() {
    codesign --force --timestamp --options runtime \
        --entitlements "$here/entitlements.plist" --sign "$CODESIGN_IDENTITY" "$@"
}

if test -n "${CODESIGN_IDENTITY:-}"; then
    # From the inside to the outside: every library first, the program last.
    find "$payload/usr/local/lib/hca-agent" -type f ! -path '*/lib/hca-agent/hca-agent' -print0 |
        while IFS= read -r -d '' file; do
            case $(file -b "$file") in
                *Mach-O*) sign "$file" ;;
            esac
        done
    sign "$payload/usr/local/lib/hca-agent/hca-agent"
    codesign --verify --strict "$payload/usr/local/lib/hca-agent/hca-agent"
else
    echo "build.sh: CODESIGN_IDENTITY is not set: nothing is signed" >&2
fi

pkgbuild --root "$payload" --install-location / --ownership recommended \
    --identifier tw.hca-agent --version "$version" --scripts "$here/scripts" "$work/hca-agent.pkg"
sed "s/@VERSION@/$version/" "$here/distribution.xml" >"$work/distribution.xml"
signing=()
test -z "${INSTALLER_IDENTITY:-}" || signing=(--sign "$INSTALLER_IDENTITY" --timestamp)
# The odd expansion is for the system's bash 3.2, to which an empty array is an unset one.
productbuild --distribution "$work/distribution.xml" --package-path "$work" \
    ${signing[@]+"${signing[@]}"} "$package"

if test -n "${NOTARY_KEY:-}"; then
    xcrun notarytool submit "$package" --wait \
        --key "$NOTARY_KEY" --key-id "$NOTARY_KEY_ID" --issuer "$NOTARY_ISSUER"
    xcrun stapler staple "$package"
    spctl --assess --type install "$package"
else
    echo "build.sh: NOTARY_KEY is not set: the package is not notarised" >&2
fi
echo "$package"
