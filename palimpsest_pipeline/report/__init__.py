"""The coverage page: one HTML file that asks nobody for anything when it is opened.

Belongs here: what the page says and how it looks; frames in, text out. Does not: reading Postgres (`storage.report`),
where the file lies (`defs`),
computing any figure: classes, rates and margins are those of the marts, and only their form (a percentage, a name) is
made here.
"""
