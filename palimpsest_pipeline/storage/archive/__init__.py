"""Closed days of the odds history as Parquet: written, verified, read, and brought back into Postgres.

Belongs here: the files, their catalogue, and moving whole days between them and Postgres. Does not: which days are exported or dropped when
(retention), and questions that span hot and cold days.
"""

from .archive import Archive
from .catalogue import ExportedDay
from .errors import ArchiveDamaged, ArchiveError, ExportMismatch
from .version import day_version

__all__ = ["Archive", "ArchiveDamaged", "ArchiveError", "ExportMismatch", "ExportedDay", "day_version"]
