"""What the coverage page is made of, read from the marts: as it stands (`coverage`), over the last days (`trends`), and how prices moved (`prices`).

Belongs here: selecting rows. Does not: computing a figure, a page.
"""
