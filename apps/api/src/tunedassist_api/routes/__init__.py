"""The paths, a file each."""
