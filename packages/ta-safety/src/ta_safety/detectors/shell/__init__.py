"""Shell commands: what would this line do if somebody ran it? Nothing is ever run."""
