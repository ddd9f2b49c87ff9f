"""Guards an assistant and attacks it before release. Not there yet: see the README."""
