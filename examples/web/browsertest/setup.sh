#!/usr/bin/env bash
# Installs Chromium, unless it is installed.
set -euo pipefail

for name in "${CHROMIUM:-chromium}" chromium-browser google-chrome; do
	if command -v "$name" >/dev/null; then exit 0; fi
done
if ! command -v apt-get >/dev/null; then
	echo 'install chromium: required by the browser tests' >&2
	exit 1
fi
root=()
[ "$(id -u)" = 0 ] || root=(sudo --preserve-env=DEBIAN_FRONTEND)
export DEBIAN_FRONTEND=noninteractive
"${root[@]}" apt-get update -q
"${root[@]}" apt-get install -q -y --no-install-recommends chromium fonts-dejavu-core
