"""The schedules and sensors that ask platforms, which are off until somebody wants them: switched in Dagster's
instance, through the web server of `palimpsest up`, as its pages do. Knows no Dagster but its GraphQL."""

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
ASKED_SLOTS_SCHEMA: Final = "($name: String!, $repository: String!, $location: String!)"
START_MUTATIONS: Final = {
    "schedule": f"mutation {ASKED_SLOTS_SCHEMA} {{ done: startSchedule(scheduleSelector: {{{SELECTOR_ARGUMENTS}, scheduleName: $name}}) {{ __typename ...why }} }}",
    "sensor": f"mutation {ASKED_SLOTS_SCHEMA} {{ done: startSensor(sensorSelector: {{{SELECTOR_ARGUMENTS}, sensorName: $name}}) {{ __typename ...why }} }}",
}
STOP_MUTATIONS: Final = {
    "schedule": "mutation ($id: String!) { done: stopRunningSchedule(id: $id) { __typename ...why } }",
    "sensor": "mutation ($id: String!) { done: stopSensor(id: $id) { __typename ...why } }",
}
ERROR_FRAGMENT: Final = " fragment why on PythonError { message }"


@dataclass(frozen=True, slots=True)
class Switch:
    """A schedule or sensor that is off by default. `next_at`: its next tick; None when it is off."""

    kind: str
    name: str
    description: str
    is_on: bool
    next_at: datetime | None
    state_id: str
    repository: str
    location: str


def list_switches(home: Path) -> list[Switch]:
    """Those of what serves from `home`, in the order of their names.

    Raises ServeError when nothing does, or it does not answer.
    """
    found = _query_server(_find_url(home), SWITCHES_QUERY)["repositoriesOrError"]
    if found["__typename"] != "RepositoryConnection":
        raise ServeError(
            f"Dagster cannot say what it has: {found.get('message', found['__typename'])}; see `palimpsest doctor`"
        )
    return sorted(
        (
            _parse_switch(kind, one, node)
            for node in found["nodes"]
            for kind in START_MUTATIONS
            for one in node[f"{kind}s"]
            if one["defaultStatus"] == "STOPPED"
        ),
        key=lambda switch: switch.name,
    )


def set_switches(home: Path, *, on: bool) -> list[Switch]:
    """Switch all of them on, or off; those that are already stay.

    Returns how they stand then. Raises ServeError as `list_switches` does.
    """
    for switch in list_switches(home):
        if switch.is_on == on:
            continue
        named = (
            {"name": switch.name, "repository": switch.repository, "location": switch.location}
            if on
            else {"id": switch.state_id}
        )
        done = _query_server(
            _find_url(home), (START_MUTATIONS if on else STOP_MUTATIONS)[switch.kind] + ERROR_FRAGMENT, **named
        )["done"]
        if done["__typename"].endswith("Error"):
            raise ServeError(
                f"the {switch.kind} {switch.name} stays {'off' if on else 'on'}: {done.get('message', done['__typename'])}"
            )
    return list_switches(home)


def _find_url(home: Path) -> str:
    serving = read_record(home)
    if serving is None:
        raise ServeError(
            f"nothing is up in {home}: start `palimpsest up` first, in another terminal (or switch them in the UI of your own Dagster)"
        )
    return serving.url


def _query_server(url: str, query: str, **variables: Any) -> dict[str, Any]:
    try:
        return query_graphql(url, query, **variables)
    except (OSError, ValueError) as error:
        raise ServeError(f"Dagster's web server at {url} does not answer: {error}; see `palimpsest doctor`") from error


def _parse_switch(kind: str, one: dict[str, Any], node: dict[str, Any]) -> Switch:
    state = one[f"{kind}State"]
    tick = state["nextTick"]
    return Switch(
        kind=kind,
        name=one["name"],
        description=one["description"] or "",
        is_on=state["status"] == "RUNNING",
        next_at=None if tick is None else datetime.fromtimestamp(tick["timestamp"], UTC),
        state_id=state["id"],
        repository=node["name"],
        location=node["location"]["name"],
    )
