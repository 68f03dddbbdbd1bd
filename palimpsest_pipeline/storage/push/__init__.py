"""Messages to traders: where their events come from, the rules in force, and the outbox."""
