"""The conversation: a turn and its rails, how it is answered, how it is shown."""
