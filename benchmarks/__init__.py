"""kdlab beside the usual ways of doing the same: `python -m benchmarks`."""
