"""A reader in a process of its own: looks at a day again and again, and prints every answer it gets.

Ends when its standard input ends.
"""

import sys
import threading
from datetime import date

import duckdb

from palimpsest_pipeline.storage.archive import Archive

COUNT = "select count(*), count(distinct observed_at) filter (where listing_id = 1 and ordinal = 1) from odds where date = $day"


def main(root: str, day: date) -> None:
    done = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        done.set()

    threading.Thread(target=wait, daemon=True).start()
    archive = Archive(root)
    asked = duckdb.connect()
    with open(f"{root}/open.sql") as views:  # noqa: PTH123
        asked.execute(views.read())
    while not done.is_set():
        rows = archive.scan_changes([day]).collect()
        print("rows", rows.height, rows["observed_at"].sort()[0].isoformat(), flush=True)
        try:
            print("odds", *asked.execute(COUNT, {"day": day}).fetchall()[0], flush=True)
        except (
            duckdb.Error
        ):  # it opens a file twice for one question: what is replaced in between is an error, and no answer
            print("failed", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], date.fromisoformat(sys.argv[2]))
