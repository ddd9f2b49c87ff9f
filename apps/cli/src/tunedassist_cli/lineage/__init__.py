"""Where an artifact comes from, down to the documents: checked, printed as a tree, drawn."""
