#!/usr/bin/env bash
# Makes deploy/secrets with random values.  Existing files are left as they are.
# grafana_read_token must be replaced by a read-only token of the bucket after the first start.
set -euo pipefail
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
make_one() { [ -e "secrets/$1" ] || python3 -c 'import secrets; print(secrets.token_urlsafe(32), end="")' > "secrets/$1"; }
[ -e secrets/influx_admin_name ] || printf 'compound-admin' > secrets/influx_admin_name
for name in influx_admin_password influx_admin_token grafana_admin_password grafana_read_token; do make_one "$name"; done
echo "deploy/secrets 已就绪 / ready"
