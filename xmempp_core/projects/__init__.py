"""Annotator projects: what was painted on a shot, in immutable files named by their content."""
