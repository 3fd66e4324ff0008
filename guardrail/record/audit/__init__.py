"""The audit log: every decision on record, chained and signed, and what can be asked of it.

Importing it loads neither torch nor transformers nor langchain.
"""

from guardrail.record.audit.log import AuditLog
from guardrail.record.audit.record import AuditRecord
from guardrail.record.keys import AuditKey, find_key, new_key, parse_key, read_key

__all__ = [
    "AuditKey",
    "AuditLog",
    "AuditRecord",
    "find_key",
    "new_key",
    "parse_key",
    "read_key",
]
