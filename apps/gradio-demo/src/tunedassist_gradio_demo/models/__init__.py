"""What can be asked: the models of a run, opened when they are needed."""
