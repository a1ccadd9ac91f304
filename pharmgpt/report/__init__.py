"""One page about a run, made from what the run left on disk; no stage knows that it exists."""
