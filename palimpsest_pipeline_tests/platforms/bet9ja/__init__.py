"""The dialect of bet9ja against its captured answers."""
