"""The policy layer: what an organisation wants, how it is read, and what it decides.

It knows nothing of models, tensors or messages: a policy and a verdict go in, a ruling comes out.
Importing it loads neither torch nor transformers nor langchain.
"""

from guardrail.policy.context import Selection, When
from guardrail.policy.evaluation import decide
from guardrail.policy.loader import load_policy
from guardrail.policy.policy import Policy
from guardrail.policy.refusals import is_refusal
from guardrail.policy.ruling import Ruling, WatchRuling
from guardrail.policy.schema import Category, Vocabulary
from guardrail.policy.sources import (
    FixedPolicy,
    PolicyFile,
    PolicySource,
    PolicyWatcher,
    Reload,
    policy_source,
)
from guardrail.policy.watching import decide_reading

__all__ = [
    "Category",
    "FixedPolicy",
    "Policy",
    "PolicyFile",
    "PolicySource",
    "PolicyWatcher",
    "Reload",
    "Ruling",
    "Selection",
    "Vocabulary",
    "WatchRuling",
    "When",
    "decide",
    "decide_reading",
    "is_refusal",
    "load_policy",
    "policy_source",
]
