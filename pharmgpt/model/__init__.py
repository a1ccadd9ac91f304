"""The transformer, its heads, generation and checkpoints."""
