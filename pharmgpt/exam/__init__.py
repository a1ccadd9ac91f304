"""What the model knows: grading, scores and the exam."""
