#!/bin/bash
# Removes HCA Card Agent: sudo /usr/local/lib/hca-agent/uninstall.sh [--data]
#
# --data removes the data of the person at the screen too: configuration, answers, logs, token, certificate.
# What other users trusted or keep stays: let each run `hca-agent trust remove` first.
set -euo pipefail

test "$(id -u)" = 0 || { echo "請加 sudo · run it with sudo" >&2; exit 1; }

user=$(stat -f %Su /dev/console)
home=$(dscl . -read "/Users/$user" NFSHomeDirectory 2>/dev/null | sed 's/^NFSHomeDirectory: //') || home=""

if test "$user" != root && test -x /usr/local/bin/hca-agent; then
    launchctl asuser "$(id -u "$user")" sudo -u "$user" /usr/local/bin/hca-agent trust remove ||
        echo "憑證沒有全部移除 · the certificate could not be taken out everywhere" >&2
fi
ps -axo uid=,comm= | while read -r owner command; do
    if test "$command" = /usr/local/lib/hca-agent/hca-agent; then
        launchctl bootout "gui/$owner/tw.hca-agent" 2>/dev/null || true
    fi
done
if test "${1:-}" = --data && test -n "$home" && test "$user" != root; then
    # As the person: what root deletes below a folder that somebody else can change may be anything.
    sudo -u "$user" rm -rf "$home/Library/Application Support/hca-agent"
    sudo -u "$user" rm -f "$home/Library/LaunchAgents/tw.hca-agent.plist"
fi
rm -f /usr/local/bin/hca-agent /Library/LaunchAgents/tw.hca-agent.plist
rm -rf /usr/local/lib/hca-agent
pkgutil --forget tw.hca-agent >/dev/null 2>&1 || true
echo "已移除 · removed"
