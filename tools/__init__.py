"""Builds: notebooks, data, teachers. Run as `python -m tools.<name>` from the root."""
