"""Adapters: what single model families need beyond the generic path, one small file each.

Installed as `guardrail.adapters` and found through the entry-point group `guardrail.adapters`; the
core never imports one by name.
"""
