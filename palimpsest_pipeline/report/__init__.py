"""The coverage page: one HTML file that loads nothing else when it is opened.

Belongs here: the text and the layout of the page; frames in, text out. Does not belong here: reading Postgres
(`storage.marts`), the place of the file (`defs`), any computation. Classes, rates and margins come from the marts; this
package only formats them.
"""
