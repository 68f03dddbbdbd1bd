"""The dialect of Betika against recorded answers."""
