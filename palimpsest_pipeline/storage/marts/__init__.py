"""Writers and readers of derived tables, the data of the coverage page, and the data dictionary."""
