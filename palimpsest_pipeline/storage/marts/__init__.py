"""Write and read the mart tables, the data of the coverage page, and the data dictionary."""
