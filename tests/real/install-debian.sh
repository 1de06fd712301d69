#!/usr/bin/env bash
# Installs the independent parts that the real tests run against.  Debian 12, root or sudo.
set -euo pipefail
packages=(systemd influxdb mbpoll faketime libmodbus-dev pkg-config gcc libc6-dev libreoffice-writer-nogui
  poppler-utils victoria-metrics fonts-noto-cjk fonts-arphic-uming fonts-arphic-ukai chromium)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
run() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }
export DEBIAN_FRONTEND=noninteractive
run apt-get update -qq
run apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
