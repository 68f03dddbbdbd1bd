"""The dialect of MSport against recorded answers."""
