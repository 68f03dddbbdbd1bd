"""The schedules and sensors that start scrapes, which are off until a user switches them on.

They are switched through the web server of `palimpsest up`, as in the UI. Imports no Dagster; only its GraphQL
interface is used.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from .readiness import query_graphql
from .service_record import ServeError, read_record

SWITCHES_QUERY: Final = """
{
  repositoriesOrError {
    __typename
    ... on PythonError { message }
    ... on RepositoryConnection {
      nodes {
        name
        location { name }
        schedules { name description defaultStatus scheduleState { id status nextTick { timestamp } } }
        sensors { name description defaultStatus sensorState { id status nextTick { timestamp } } }
      }
    }
  }
}
"""
SELECTOR_ARGUMENTS: Final = "repositoryName: $repository, repositoryLocationName: $location"
MUTATION_VARIABLES: Final = "($name: String!, $repository: String!, $location: String!)"
START_MUTATIONS: Final = {
    "schedule": f"mutation {MUTATION_VARIABLES} {{ done: startSchedule(scheduleSelector: {{{SELECTOR_ARGUMENTS}, "
    "scheduleName: $name}) { __typename ...why } }",
    "sensor": f"mutation {MUTATION_VARIABLES} {{ done: startSensor(sensorSelector: {{{SELECTOR_ARGUMENTS}, sensorName: "
    "$name}) { __typename ...why } }",
}
STOP_MUTATIONS: Final = {
    "schedule": "mutation ($id: String!) { done: stopRunningSchedule(id: $id) { __typename ...why } }",
    "sensor": "mutation ($id: String!) { done: stopSensor(id: $id) { __typename ...why } }",
}
ERROR_FRAGMENT: Final = " fragment why on PythonError { message }"


@dataclass(frozen=True, slots=True)
class Switch:
    """A schedule or sensor that is off by default. `next_at` is its next tick; None when it is off."""

    kind: str
    name: str
    description: str
    is_on: bool
    next_at: datetime | None
    state_id: str
    repository: str
    location: str


def list_switches(home: Path) -> list[Switch]:
    """Return these schedules and sensors for the services running in `home`, ordered by name.

    Raises ServeError when no services run there, or when the server does not answer.
    """
    repositories = _query_server(_find_url(home), SWITCHES_QUERY)["repositoriesOrError"]
    if repositories["__typename"] != "RepositoryConnection":
        raise ServeError(
            "Dagster cannot list its schedules and sensors: "
            f"{repositories.get('message', repositories['__typename'])}; see `palimpsest doctor`"
        )
    return sorted(
        (
            _parse_switch(kind, automation, node)
            for node in repositories["nodes"]
            for kind in START_MUTATIONS
            for automation in node[f"{kind}s"]
            if automation["defaultStatus"] == "STOPPED"
        ),
        key=lambda switch: switch.name,
    )


def set_switches(home: Path, *, on: bool) -> list[Switch]:
    """Switch all these schedules and sensors on or off, and return their new state.

    Those that already have the requested state are not changed. Raises ServeError as `list_switches` does.
    """
    for switch in list_switches(home):
        if switch.is_on == on:
            continue
        variables = (
            {"name": switch.name, "repository": switch.repository, "location": switch.location}
            if on
            else {"id": switch.state_id}
        )
        result = _query_server(
            _find_url(home), (START_MUTATIONS if on else STOP_MUTATIONS)[switch.kind] + ERROR_FRAGMENT, **variables
        )["done"]
        if result["__typename"].endswith("Error"):
            raise ServeError(
                f"the {switch.kind} {switch.name} stays {'off' if on else 'on'}: "
                f"{result.get('message', result['__typename'])}"
            )
    return list_switches(home)


def _find_url(home: Path) -> str:
    serving = read_record(home)
    if serving is None:
        raise ServeError(
            f"nothing is up in {home}: start `palimpsest up` first, in another terminal (or switch them in the UI of "
            "your own Dagster)"
        )
    return serving.url


def _query_server(url: str, query: str, **variables: Any) -> dict[str, Any]:
    try:
        return query_graphql(url, query, **variables)
    except (OSError, ValueError) as error:
        raise ServeError(f"Dagster's web server at {url} does not answer: {error}; see `palimpsest doctor`") from error


def _parse_switch(kind: str, automation: dict[str, Any], node: dict[str, Any]) -> Switch:
    state = automation[f"{kind}State"]
    tick = state["nextTick"]
    return Switch(
        kind=kind,
        name=automation["name"],
        description=automation["description"] or "",
        is_on=state["status"] == "RUNNING",
        next_at=None if tick is None else datetime.fromtimestamp(tick["timestamp"], UTC),
        state_id=state["id"],
        repository=node["name"],
        location=node["location"]["name"],
    )
