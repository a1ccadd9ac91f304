"""Answers from a finished run: session, terminal chat."""
