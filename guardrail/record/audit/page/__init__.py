"""The audit log as pages: a list, a decision, rates over time; local and read-only."""
