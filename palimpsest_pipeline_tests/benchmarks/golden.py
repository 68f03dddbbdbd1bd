"""Hashes the content of every view and derived table of some worlds, saves them, and compares them with saved ones.

With `--landing DIR` a world is landed once into DIR and replayed from there ever after, so that two versions of the code
derive the same answers. Without it every world is landed anew, and its replay must equal what the live cycles derived.
`--save FILE` writes the hashes, and the rows into a folder beside it; `--compare FILE` lists the differences and ends
with 1 if there is one. `--map old=new` says that a view, table or column (`schema.name.column`) has a new name, and
`--map old=` that it is gone on purpose.
"""

import gzip
import hashlib
import json
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import psycopg
import typer
from psycopg import sql

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline_tests.fixtures.postgres import make_server_folder, run_server

from ._golden_worlds import WORLDS, land_world, replay_world

CLOCK_COLUMNS: Final = {"computed_at", "ingested_at", "marked_at", "judged_at", "updated_at"}
CODE_COLUMNS: Final = {"parser_version", "mapping_version", "vocabulary_version", "reading_digest", "digest"}
LEFT_OUT: Final = {"run_id", "dagster_run_id"} | CLOCK_COLUMNS | CODE_COLUMNS
"""Columns that say when, by which run and by which version of the code a row was written."""
OPS: Final = ("listing_ids", "market_lines", "line_names", "landed_cycles")
"""Tables of `ops` that follow from the landing."""
MAX_SHOWN: Final = 2
NAMES: Final = """
    select n.nspname || '.' || c.relname, array_agg(a.attname::text order by a.attname)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
    where a.attnum > 0 and not a.attisdropped and c.relkind = any('{r,p,v,m}') and not c.relispartition
      and (n.nspname in ('core', 'mart', 'palimpsest') or n.nspname = 'ops' and c.relname = any(%s))
    group by 1 order by 1
"""
WITH_NOW: Final = """
    select 'create or replace view ' || c.oid::regclass || ' as ' || pg_get_viewdef(c.oid)
    from pg_class c where c.relkind = 'v' and c.relnamespace = 'palimpsest'::regnamespace
    union all
    select pg_get_functiondef(p.oid) from pg_proc p where p.prokind = 'f' and p.pronamespace = 'palimpsest'::regnamespace
"""
FUNCTIONS: Final = """
    select 'palimpsest.' || p.proname, p.pronargs > p.pronargdefaults from pg_proc p
    where p.proretset and p.pronamespace = 'palimpsest'::regnamespace and p.pronargs - p.pronargdefaults <= 1
      and (p.pronargs = p.pronargdefaults or p.proargtypes[0] = 'timestamptz'::regtype)
    order by 1
"""
"""Functions that return rows and can be called without an argument, or with one instant."""


@dataclass(slots=True)
class Content:
    """The content of one view or table: names of its columns, number of rows, and the hash of its sorted rows."""

    columns: list[str]
    n_rows: int
    sha256: str
    lines: list[str] = field(default_factory=list)
    """The rows as Postgres copies them, sorted. Empty when they are not at hand."""


Record = dict[str, Content]


def measure(
    save: Annotated[Path | None, typer.Option(help="Write the hashes into this file.")] = None,
    compare: Annotated[Path | None, typer.Option(help="Compare with the hashes of this file.")] = None,
    landing: Annotated[Path | None, typer.Option(help="Folder of landed worlds; missing ones are landed.")] = None,
    world: Annotated[list[str] | None, typer.Option(help=f"World: {', '.join(WORLDS)}. Default: all.")] = None,
    map: Annotated[list[str] | None, typer.Option(help="old=new: a new name; old=: gone on purpose.")] = None,
) -> dict[str, Any]:
    """Number of hashed views and tables, and the differences."""
    record, differences = {}, []
    with make_server_folder() as folder, run_server(folder) as server:
        for name in world or list(WORLDS):
            replayed, problems = _record_world(server, name, landing)
            record |= {f"{name}/{key}": content for key, content in replayed.items()}
            differences += problems
    if save:
        _save(record, save)
    if compare:
        before = {key: content for key, content in _load(compare).items() if key.split("/")[0] in (world or WORLDS)}
        differences += find_differences(before, record, dict(pair.split("=", 1) for pair in map or ()))
    n_rows = sum(content.n_rows for content in record.values())
    return {"names": len(record), "rows": n_rows, "differences": differences, "failed": bool(differences)}


def _record_world(server: EmbeddedPostgres, name: str, landing: Path | None) -> tuple[Record, list[str]]:
    """The content of a replay of the world, and how it differs from what live cycles derived if they ran here."""
    world = WORLDS[name]
    with tempfile.TemporaryDirectory() as temporary:
        folder, differences, live = (landing or Path(temporary)) / name, [], None
        if not folder.exists():
            with land_world(server, world, folder) as pipeline:
                live = read_content(pipeline)
        with replay_world(server, world, folder) as pipeline:
            replayed = read_content(pipeline)
        if live is not None:
            differences = [f"{name}, live against replayed: {line}" for line in find_differences(live, replayed, {})]
        return replayed, differences


def read_content(pipeline: Pipeline) -> Record:
    """The content of views, functions that return rows, and derived tables. Their present is the pipeline's."""
    now = f"'{pipeline.clock.now().isoformat()}'::timestamptz"
    with pipeline.connect() as conn:
        conn.execute("set time zone 'UTC'")
        conn.execute("set extra_float_digits = -3")  # 12 digits: sums of floats depend on the order of rows
        for (statement,) in conn.execute(WITH_NOW).fetchall():
            if "now()" in statement.lower():
                conn.execute(statement.replace("now()", now).replace("NOW()", now).encode())
        record = {}
        for name, columns in conn.execute(NAMES, [list(OPS)]).fetchall():
            record[name] = _read(conn, columns, sql.Identifier(*name.split(".")))
        for name, takes_instant in conn.execute(FUNCTIONS).fetchall():
            call = sql.SQL("{}({})").format(sql.Identifier(*name.split(".")), sql.SQL(now if takes_instant else ""))
            try:
                with conn.transaction():
                    cursor = conn.execute(sql.SQL("select * from {} limit 0").format(call))
                    record[f"{name}()"] = _read(conn, sorted(c.name for c in cursor.description or ()), call)
            except psycopg.errors.InvalidParameterValue:  # it needs a market or fixtures
                continue
        conn.rollback()
    return record


def _read(conn: psycopg.Connection, columns: list[str], relation: sql.Composable) -> Content:
    kept = [column for column in columns if column not in LEFT_OUT]
    query = sql.SQL("copy (select {} from {} t) to stdout").format(
        sql.SQL(", ").join(sql.Identifier("t", column) for column in kept), relation
    )
    with conn.cursor().copy(query) as copy:
        lines = sorted(b"".join(copy).decode().splitlines())
    return Content(kept, len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest(), lines)


def find_differences(before: Record, after: Record, renames: dict[str, str]) -> list[str]:
    """Names that are gone or new, and of the others columns that are gone or new and rows that differ in the rest."""
    differences, others = [], dict(after)
    for name, old in before.items():
        world, _, relation = name.rpartition("/")
        new_relation = renames.get(relation, relation)
        new = others.pop(f"{world}/{new_relation}" if world else new_relation, None)
        if new is None:
            differences += [f"{name}: gone"] if new_relation else []
            continue
        new_names = {column: renames.get(f"{relation}.{column}", column) for column in old.columns}
        gone = [column for column, new_name in new_names.items() if new_name and new_name not in new.columns]
        added = sorted(set(new.columns) - set(new_names.values()))
        differences += [f"{name}: column {column} is gone" for column in gone]
        differences += [f"{name}: column {column} is new" for column in added]
        if old.columns == new.columns and old.sha256 == new.sha256:
            continue
        shared = [(column, new_name) for column, new_name in new_names.items() if new_name in new.columns]
        ours = _pick(old, [column for column, _ in shared])
        theirs = _pick(new, [new_name for _, new_name in shared])
        differences += _compare_rows(name, [column for column, _ in shared], ours, theirs)
    return differences + [f"{name}: new" for name in others]


def _pick(content: Content, columns: list[str]) -> Counter[str]:
    places = [content.columns.index(column) for column in columns]
    return Counter("\t".join(cells[place] for place in places) for cells in (x.split("\t") for x in content.lines))


def _compare_rows(name: str, columns: list[str], before: Counter[str], after: Counter[str]) -> list[str]:
    """One line for the numbers of rows that only one side has, and one for each of a few of them."""
    removed, added = before - after, after - before
    if not removed and not added:
        return []
    found = [f"{name}: {removed.total()} of {before.total()} rows gone, {added.total()} of {after.total()} new"]
    for sign, rows in (("-", removed), ("+", added)):
        cells = [zip(columns, row.split("\t"), strict=True) for row in sorted(rows)[:MAX_SHOWN]]
        found += [f"  {sign} {', '.join(f'{column}={cell}' for column, cell in row)}" for row in cells]
    return found


def _save(record: Record, file: Path) -> None:
    rows = file.with_suffix(".rows")
    for name, content in record.items():
        place = rows / f"{name}.gz"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(gzip.compress("\n".join(content.lines).encode(), 3, mtime=0))
    hashes = {name: {**asdict(content), "lines": []} for name, content in record.items()}
    file.write_text(json.dumps(hashes, indent=1))


def _load(file: Path) -> Record:
    record = {name: Content(**content) for name, content in json.loads(file.read_text()).items()}
    for name, content in record.items():
        place = file.with_suffix(".rows") / f"{name}.gz"
        if place.exists():
            content.lines = gzip.decompress(place.read_bytes()).decode().splitlines()
    return record
