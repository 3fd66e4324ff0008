"""Example pictures and programs; installed as `guardrail.examples` for `guardrail ask --demo`."""
