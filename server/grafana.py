"""Talks to a running Grafana: a dashboard of ours, and alerts as annotations."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from grafana_client import GrafanaApi, TokenAuth
from grafana_client.client import GrafanaException

from contract.errors import DeliveryError

FOLDER_UID, FOLDER_TITLE = "compound-energy", "大院能源"
MARK_TAG = "compound-energy"  # of every annotation of ours; the dashboard shows these
_CONFLICTS = frozenset({409, 412})
_MOST_MARKS = 5000
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Mark:
    """An annotation; end_ms: also of what is still going on; key: of one thing, for ever."""

    key: str
    start_ms: int
    end_ms: int
    text: str
    tags: tuple[str, ...] = ()

    @property
    def all_tags(self) -> list[str]:
        """Give its tags with those that it is found by again."""
        return sorted({MARK_TAG, self.key, *self.tags})


def push_dashboard(url: str, token: str, path: Path) -> str:
    """Create or replace a dashboard in our folder; give its URL.  DeliveryError when refused."""
    grafana = _open(url, token)
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


def bring_up_to_date(url: str, token: str, marks: Sequence[Mark], since_ms: int) -> int:
    """Let Grafana's annotations of ours since an instant be these marks; give how many changed.

    Whatever happened before, the same marks lead to the same annotations, each once.
    """
    door = _open(url, token).annotations
    changed = 0
    try:
        found = door.find_annotations(
            time_from=since_ms, ann_type="annotation", tags=[MARK_TAG], limit=_MOST_MARKS
        )
        wanted = {m.key: m for m in marks}
        kept: set[str] = set()
        for old in found:
            mark = next((wanted[t] for t in old.get("tags") or () if t in wanted), None)
            if mark is None or mark.key in kept:
                door.delete_annotations_by_id(old["id"])
                changed += 1
                continue
            kept.add(mark.key)
            if not _is_same(old, mark):
                door.update_annotation(
                    old["id"], mark.start_ms, mark.end_ms, mark.all_tags, mark.text
                )
                changed += 1
        for mark in marks:
            if mark.key not in kept:
                door.add_annotation(
                    time_from=mark.start_ms, time_to=mark.end_ms,
                    tags=mark.all_tags, text=mark.text,
                )  # fmt: skip
                changed += 1
    except (GrafanaException, OSError) as error:  # what its HTTP library raises is an OSError
        raise DeliveryError(f"Grafana: {error}", permanent=False) from error
    return changed


def _is_same(old: dict[str, Any], mark: Mark) -> bool:
    span = (old.get("time"), old.get("timeEnd"))
    same = old.get("text") == mark.text and sorted(old.get("tags") or ()) == mark.all_tags
    return same and span == (mark.start_ms, mark.end_ms)


def _open(url: str, token: str) -> GrafanaApi:
    parts = urlsplit(url)
    return GrafanaApi(
        auth=TokenAuth(token), host=parts.hostname, port=parts.port, protocol=parts.scheme,
        url_path_prefix=parts.path.strip("/"), timeout=_TIMEOUT_S,
    )  # fmt: skip
