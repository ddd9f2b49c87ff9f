"""Guards an assistant at run time and attacks it before release: detectors, rails, a red team."""
