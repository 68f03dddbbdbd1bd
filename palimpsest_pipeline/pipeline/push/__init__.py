"""Messages to traders: rules from their file, events into the outbox, and the sender."""
