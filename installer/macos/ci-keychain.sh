#!/bin/bash
# On a build machine without a person: a keychain for the time of the build, with the two signing identities.
#   CERTIFICATES, PASSWORD    PKCS#12 in base64, and its password
#   NOTARY_KEY_TEXT           the App Store Connect API key; its file is told to the steps that follow
set -euo pipefail

keychain=$RUNNER_TEMP/hca-agent.keychain-db
secret=$(openssl rand -hex 24)
umask 077
printf %s "$CERTIFICATES" | base64 --decode >"$RUNNER_TEMP/identities.p12"
security create-keychain -p "$secret" "$keychain"
security set-keychain-settings -lut 21600 "$keychain"
security unlock-keychain -p "$secret" "$keychain"
security import "$RUNNER_TEMP/identities.p12" -P "$PASSWORD" -k "$keychain" -T /usr/bin/codesign -T /usr/bin/productbuild
security set-key-partition-list -S apple-tool:,apple: -s -k "$secret" "$keychain" >/dev/null
security list-keychains -d user -s "$keychain" login.keychain-db
rm "$RUNNER_TEMP/identities.p12"
if test -n "${NOTARY_KEY_TEXT:-}"; then
    printf %s "$NOTARY_KEY_TEXT" >"$RUNNER_TEMP/notary.p8"
    echo "NOTARY_KEY=$RUNNER_TEMP/notary.p8" >>"$GITHUB_ENV"
fi
