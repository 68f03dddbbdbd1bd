"""Messages to traders: the sources of their events, the rules in force, and the outbox."""
