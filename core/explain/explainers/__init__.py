"""One file, one explainer; found because it is there."""
