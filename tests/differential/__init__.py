"""Differential fuzzing: requests that gowsgi, h11 and llhttp read, with their disagreements explained."""
