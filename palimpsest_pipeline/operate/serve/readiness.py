"""The state of Dagster according to its web server: definitions loaded, daemon alive.

Imports no Dagster; only its GraphQL interface is used.
"""

import json
import urllib.request
from dataclasses import dataclass
from typing import Any, Final

_REQUEST_TIMEOUT_S: Final = 10.0
READINESS_QUERY: Final = """
{
  workspaceOrError {
    __typename
    ... on Workspace {
      locationEntries {
        name
        loadStatus
        locationOrLoadError { __typename ... on PythonError { message errorChain { error { message } } } }
      }
    }
    ... on PythonError { message }
  }
  instance {
    daemonHealth {
      allDaemonStatuses { daemonType required healthy lastHeartbeatTime lastHeartbeatErrors { message } }
    }
  }
}
"""


@dataclass(frozen=True, slots=True)
class Readiness:
    """The state that the web server reports.

    `error` is the reason why the definitions cannot be loaded, or None. `heartbeats` maps each required daemon to its
    last heartbeat in Unix seconds.
    """

    is_loaded: bool
    error: str | None
    heartbeats: dict[str, float | None]

    def is_daemon_alive_since(self, began: float) -> bool:
        return bool(self.heartbeats) and all(beat is not None and beat >= began for beat in self.heartbeats.values())


def query_readiness(url: str) -> Readiness | None:
    """Return the state that the web server at `url` reports; None when it does not answer."""
    try:
        return parse_readiness(query_graphql(url, READINESS_QUERY))
    except (OSError, ValueError):
        return None


def query_graphql(url: str, query: str, **variables: Any) -> dict[str, Any]:
    """Return the data of the answer of the web server at `url`.

    Raises OSError when it cannot be reached, ValueError when it refuses the query.
    """
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{url}/graphql", data=body, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=_REQUEST_TIMEOUT_S) as answer:
        content: dict[str, Any] = json.load(answer)
    if not content.get("data"):
        raise ValueError(f"{url}/graphql: {content.get('errors')}")
    data: dict[str, Any] = content["data"]
    return data


def parse_readiness(data: dict[str, Any]) -> Readiness:
    """Return the state from the result of `READINESS_QUERY`."""
    workspace, daemons = data["workspaceOrError"], data["instance"]["daemonHealth"]["allDaemonStatuses"]
    beats = {daemon["daemonType"]: daemon["lastHeartbeatTime"] for daemon in daemons if daemon["required"]}
    if workspace["__typename"] != "Workspace":
        return Readiness(False, _join_lines(workspace["message"]), beats)
    entries = workspace["locationEntries"]
    for entry in entries:
        load_result = entry["locationOrLoadError"]
        if load_result and load_result["__typename"] == "PythonError":
            chain = [link["error"]["message"] for link in load_result["errorChain"]] or [load_result["message"]]
            return Readiness(False, _join_lines(chain[-1]), beats)
    return Readiness(bool(entries) and all(entry["loadStatus"] == "LOADED" for entry in entries), None, beats)


def _join_lines(message: str) -> str:
    return " ".join(message.split())
