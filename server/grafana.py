"""Pushes a dashboard to a running Grafana; where files are provisioned this is not needed."""

import json
from pathlib import Path
from urllib.parse import urlsplit

from grafana_client import GrafanaApi, TokenAuth
from grafana_client.client import GrafanaException

from contract.errors import DeliveryError

FOLDER_UID, FOLDER_TITLE = "compound-energy", "大院能源"
_CONFLICTS = frozenset({409, 412})


def push_dashboard(url: str, token: str, path: Path) -> str:
    """Create or replace a dashboard in our folder; give its URL.  DeliveryError when refused."""
    parts = urlsplit(url)
    grafana = GrafanaApi(
        auth=TokenAuth(token), host=parts.hostname, port=parts.port, protocol=parts.scheme
    )
    try:
        try:
            grafana.folder.create_folder(FOLDER_TITLE, FOLDER_UID)
        except GrafanaException as error:
            if error.status_code not in _CONFLICTS:  # it is there already
                raise
        dashboard = json.loads(path.read_text("utf-8"))
        body = {"dashboard": dashboard, "folderUid": FOLDER_UID, "overwrite": True}
        answer = grafana.dashboard.update_dashboard(body)
    except GrafanaException as error:
        raise DeliveryError(f"Grafana refused: {error}", permanent=True) from error
    return f"{url.rstrip('/')}{answer['url']}"
