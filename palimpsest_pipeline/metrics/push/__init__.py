"""Messages to traders: the events that a rule selects, and the text of a message. No I/O."""
