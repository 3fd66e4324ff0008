"""The page of systems: `python -m tests.evaluation.systems.page` writes it anew.

Its table is what the systems say of themselves in the catalogue; the words around it stand here.
"""

# ruff: noqa: E501  (a row of a table is one line)

from pathlib import Path

from guardrail.evaluation.systems import DEFAULT_SYSTEMS, listing
from guardrail.evaluation.systems.beginning import AGREEING
from guardrail.evaluation.systems.prompting import IN_WORDS, SAFETY_PROMPT

PAGE = Path(__file__).parents[3] / "docs" / "systems.md"

_HEAD = """\
# Systems

<!-- Written by `python -m tests.evaluation.systems.page`; do not edit. -->

What `guardrail eval` compares: one model, asked the same requests under several policies and in other
ways. `guardrail eval --list-systems` shows the same, with `--json` for programs.

<!-- run: no, takes hours -->
```sh
guardrail eval scenes                                              # {default}
guardrail eval scenes --systems all                                # the whole table
guardrail eval scenes --systems guarded,constant-bias:2,acme.yaml  # a parameter; a policy's path
```

- Each is a policy, or a small file of `guardrail/evaluation/systems/` that says how it asks. Any other
  name is taken as a policy's, or as a path ending in `.yaml`.
- Those that judge read one and the same verdict: judge, questions and thresholds are those of the
  policy given with `--policy`. Where a category has actions of its own, the rivals' actions take
  their place; what could not be judged is left to the policy.
- All are decoded by the same settings, in the same batches. Their cost is measured in the same run, as
  seconds per request in the results file, and in the table as a ratio to `unguarded`. The column below
  says where it comes from: *passes* of the model beyond those of the unguarded answer.

| system | what it is | where it comes from | what it costs |
|---|---|---|---|
"""

_TAIL = """
## What is said

- `safety-prompt`: "{safety}"
- `verdict-in-prompt`: "{unsafe}", or "{safe}", by the nearer threshold where it is uncertain.

Both stand in a system turn; before the request, where the model's chat template refuses system turns
or leaves them out, which is found out by whether the prompt gets longer.

- `forced-beginning`: the policy's first English refusal phrase, or "{agreeing}". The tokens are forced,
  and the rest is decoded plainly; models differ in whether a prompt may end in the middle of an
  answer, so it is not put there.

## `paper` and `published-code`

`paper` follows the equations of SafeCoDe's paper: `z - alpha * z~` over five steps, then lambda added
to or taken from refusal tokens among the 20 likeliest. The paper's judge is GPT-4o on a caption; here it
is the policy's. The paper does not list its refusal tokens; ours are the single-token words of the
policy's phrases. Noise is added at the model's own resolution.

`published-code` does what the authors' released code does, which is something else:

| | paper | released code |
|---|---|---|
| noise | on the picture | on the photograph before the processor resizes it, cut off at black and white, rounded to 8 bits |
| alpha | one | halved where the verdict is not unsafe |
| refusal tokens | "refusal tokens" | every sub-token of every phrase of a list of its own, with "I" and "Hello" in it, as the model's tokenizer cuts them |
| safe | lambda taken from their logits, within the top 20 | half their probability, over the whole vocabulary |
| unsafe | lambda added to their logits, within the top 20 | of its phrases that excuse themselves, the one whose tokens are likeliest to come next is forced; then nothing is steered |
| guided steps | 5 | up to 5: they end once the answer has two words, of which the first is capitalised |

Left out of it, since all systems are decoded alike: that it samples; that an unsafe verdict shortens the
answer (to 20 tokens on LLaVA); that a first token which is a quotation mark is passed over; that guided
tokens with `|`, `$` or `MS` in them are thrown away; that an unparsable verdict counts as safe, which
here blocks. It knows two verdicts: what is uncertain goes by the nearer threshold.
"""


def page() -> str:
    """The page as the catalogue has it."""
    rows = []
    for each in listing():
        name = f"`{each['name']}`"
        told = each["summary"] + (f" ({each['parameter']})" if each["parameter"] else "")
        rows.append(f"| {name} | {told} | {each['origin']} | {each['cost']} |\n")
    tail = _TAIL.format(
        safety=SAFETY_PROMPT,
        unsafe=IN_WORDS["refuse"],
        safe=IN_WORDS["comply"],
        agreeing=AGREEING,
    )
    return _HEAD.format(default=", ".join(DEFAULT_SYSTEMS)) + "".join(rows) + tail


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
