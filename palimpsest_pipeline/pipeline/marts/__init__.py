"""From core to the marts."""
