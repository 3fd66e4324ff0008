"""From a request to a decision about it: judges, verdicts, the guard."""
