"""The policy packs and refusal vocabularies that are shipped: data only, no code."""
