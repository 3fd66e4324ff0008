"""What runs a model: the protocol that steering speaks to. No torch here."""
