"""Other projects' own tests, run against gowsgi; nothing of theirs is kept here."""
