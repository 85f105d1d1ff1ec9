"""A file for each exercise: a solution, test cases, and the mistakes that are known."""
