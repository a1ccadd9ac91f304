"""What a run leaves behind: recipe, directory, metrics. No torch."""
