"""The coverage page: one HTML file that loads no other file when it is opened.

Belongs here: text and layout of the page, built from frames. Does not belong here: reading Postgres (`storage.marts`),
the path of the file (`defs`), any computation. Classes, rates and margins come from the marts; this package only
formats them.
"""
