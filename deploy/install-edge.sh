#!/usr/bin/env bash
# Installs the agent on a Raspberry Pi (or any Debian): run as root from a checkout.
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"
id compound-edge >/dev/null 2>&1 || useradd --system --home-dir /var/lib/compound-edge --shell /usr/sbin/nologin compound-edge
python3 -m venv /opt/compound-edge
/opt/compound-edge/bin/pip install --quiet --require-hashes -r "$root/requirements/edge.txt"
/opt/compound-edge/bin/pip install --quiet --require-hashes -r "$root/requirements/build.txt"
/opt/compound-edge/bin/pip install --quiet --no-build-isolation --no-deps "$root"
install -d -m 0750 -o root -g compound-edge /etc/compound-edge
[ -e /etc/compound-edge/agent.yaml ] || install -m 0640 -o root -g compound-edge "$root/deploy/example/agent.yaml" /etc/compound-edge/agent.yaml
install -m 0644 "$root/deploy/systemd/compound-edge.service" /etc/systemd/system/compound-edge.service
systemctl daemon-reload
echo "请编辑 /etc/compound-edge/agent.yaml 并放好令牌文件，然后 / edit the configuration, then:"
echo "  /opt/compound-edge/bin/compound-edge check --config /etc/compound-edge/agent.yaml"
echo "  systemctl enable --now compound-edge"
