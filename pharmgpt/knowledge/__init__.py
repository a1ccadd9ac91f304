"""What is true: drugs, their rules and interactions, each fact with its source. Imports no torch."""
