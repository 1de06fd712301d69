#!/usr/bin/env bash
# Installs or upgrades the agent on a Raspberry Pi (or any Debian): run as root from a checkout.
# May be run again at any time: configuration, token and what waits are kept.  The new version is
# built beside the old one and switched to by one rename; if it cannot check the configuration or
# does not start, the old one goes on.
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"
current="${COMPOUND_EDGE_OPT:-/opt/compound-edge}"
etc="${COMPOUND_EDGE_ETC:-/etc/compound-edge}"
state="${COMPOUND_EDGE_STATE:-/var/lib/compound-edge}"
units="${COMPOUND_EDGE_UNITS:-/etc/systemd/system}"
releases="$current-releases"
new="$releases/$(date -u +%Y%m%dT%H%M%S)-$$"

link_to() { ln -sfn "$1" "$current.next"; mv -T "$current.next" "$current"; }

id compound-edge >/dev/null 2>&1 || useradd --system --home-dir /var/lib/compound-edge --shell /usr/sbin/nologin compound-edge

mkdir -p "$releases"
trap 'rm -rf "$new"; echo "安装未完成，原版本不变 / not installed; the old version is as it was" >&2' EXIT
python3 -m venv "$new"
"$new/bin/pip" install --quiet --require-hashes -r "$root/requirements/edge.txt"
"$new/bin/pip" install --quiet --require-hashes -r "$root/requirements/build.txt"
rm -rf "$root/build"  # or modules that are gone since would be installed again
"$new/bin/pip" install --quiet --no-build-isolation --no-deps "$root"

# the agent's group may write here: a configuration on trial is switched by rename
install -d -m 0770 "$etc"
install -d -m 0750 "$state"
chown root:compound-edge "$etc"
chown compound-edge:compound-edge "$state"
is_upgrade=
if [ -e "$etc/agent.yaml" ]; then
  "$new/bin/compound-edge" check --config "$etc/agent.yaml" >/dev/null
  is_upgrade=1
else
  sed "s#path: \./a1\.outbox\.db#path: $state/a1.outbox.db#" "$root/deploy/example/agent.yaml" >"$etc/agent.yaml.part"
  chmod 0640 "$etc/agent.yaml.part"
  chown root:compound-edge "$etc/agent.yaml.part"
  mv "$etc/agent.yaml.part" "$etc/agent.yaml"
fi

old=
if [ -L "$current" ]; then old="$(readlink "$current")"
elif [ -e "$current" ]; then mv -T "$current" "$releases/unlinked"; fi  # as installed before there were releases
link_to "$new"
trap - EXIT
install -m 0644 "$root/deploy/systemd/compound-edge.service" "$units/compound-edge.service"
systemctl daemon-reload

if systemctl is-active --quiet compound-edge && ! systemctl restart compound-edge; then
  if [ -n "$old" ] && [ -d "$old" ]; then
    link_to "$old"
    systemctl restart compound-edge || true
  fi
  echo "新版本没有启动，已换回原版本：journalctl -u compound-edge / it did not start; the old version is back" >&2
  exit 1
fi
# the present release and the one before stay
for release in "$releases"/*; do
  [ "$release" = "$new" ] || [ "$release" = "$old" ] || rm -rf "$release"
done

if [ -n "$is_upgrade" ]; then
  echo "已升级；配置和待发队列未动 / upgraded; configuration and outbox are as they were"
else
  echo "请编辑 $etc/agent.yaml 并放好令牌文件（chmod 0640，属组 compound-edge），然后 / edit the configuration, then:"
  echo "  $current/bin/compound-edge check --config $etc/agent.yaml"
  echo "  sudo -u compound-edge $current/bin/compound-edge doctor --config $etc/agent.yaml"
  echo "  systemctl enable --now compound-edge"
fi
