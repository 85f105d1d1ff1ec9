"""A file for the quiz questions of each lesson."""
