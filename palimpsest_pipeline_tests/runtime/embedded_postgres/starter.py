"""A process of its own that starts (or attaches to) a server, says so in one line of JSON, and with `--hold` stays
until it is killed.
"""

import argparse
import json
import os
import pwd
import sys
from pathlib import Path

import psycopg

from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--user")
    parser.add_argument("--hold", action="store_true")
    parser.add_argument("--stop", action="store_true")
    options = parser.parse_args()
    if options.user:
        entry = pwd.getpwnam(options.user)
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
        os.environ.pop("XDG_RUNTIME_DIR", None)
    server = EmbeddedPostgres(options.data_dir, durable=False, fallback_dirs=())
    try:
        server.start()
    except EmbeddedPostgresError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return
    with psycopg.connect(server.build_libpq_url("palimpsest")) as connection:
        answer = connection.execute("SELECT 40 + 2").fetchone()
    print(json.dumps({"pid": server.status().pid, "answer": answer, "url": server.build_url("palimpsest")}), flush=True)
    if options.hold:
        sys.stdin.read()
    if options.stop:
        server.stop()
        print(json.dumps({"running": server.status().running}), flush=True)


if __name__ == "__main__":
    main()
