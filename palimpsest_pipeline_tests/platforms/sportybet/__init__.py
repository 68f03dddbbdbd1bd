"""The dialect of sportybet against its captured answers."""
