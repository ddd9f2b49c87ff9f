"""From a name or a path to a model that can be trained."""
