"""The dialect of betpawa against its captured answers."""
