"""SGLang: https://docs.sglang.ai; from its documentation, not run."""

from __future__ import annotations

from guardrail.backends.server.dialect import Dialect

SGLANG = Dialect("sglang", continuing={"continue_final_message": True}, owner="sglang")
