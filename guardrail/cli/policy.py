"""`guardrail policy`: list, show, check, explain, diff and test policies.

It loads neither torch nor transformers nor langchain. Exit status: 0 done, 1 a check failed, 2 bad
use or bad input.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guardrail.cli import key_text
from guardrail.cli import policy_text as text
from guardrail.policy.loader import Loaded, LoadedSelection, load, load_any

if TYPE_CHECKING:
    from guardrail.policy.lint import Encode

FAILED = 1

app = typer.Typer(
    help="Write, check, explain, compare and test policies.",
    add_completion=False,
    rich_markup_mode=None,
)

Reference = Annotated[str, typer.Argument(metavar="NAME|PATH", help="A policy's name or file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the policies and refusal vocabularies that can be named."""
    from guardrail.policy.catalogue import catalogue

    found = catalogue()
    _print(found if as_json else text.listing(found), as_json)


@app.command()
def show(
    policy: Reference,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Every value, with the file and line it comes from.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a policy says, with all that it inherits."""
    from guardrail.policy.display import resolved_lines, resolved_values

    loaded = load(policy)
    if as_json:
        content: dict[str, Any] = {
            "digest": loaded.policy.digest,
            "files": list(loaded.files),
            "policy": loaded.policy.model_dump(mode="json"),
        }
        if resolved:
            content["values"] = resolved_values(loaded)
        _print(content, as_json)
    elif resolved:
        _print([f"# digest {loaded.policy.digest}", *resolved_lines(loaded)])
    else:
        _print(text.summary(loaded))


@app.command()
def check(
    policy: Reference,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings, too.")] = False,
    tokenizer: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="A tokenizer.json to check the refusal phrases against."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a policy or a selection of policies, and point at what is probably not meant."""
    from guardrail.policy.lint import lint

    loaded = load_any(policy)
    encode = _encoder(tokenizer) if tokenizer else None
    parts = loaded.parts if isinstance(loaded, LoadedSelection) else (loaded,)
    findings = list(dict.fromkeys(f for part in parts for f in lint(part, encode)))
    found: Any = text.checked_json(parts, findings) if as_json else text.checked(parts, findings)
    if isinstance(loaded, LoadedSelection):
        found = (
            {**found, **text.unmatched_json(loaded)}
            if as_json
            else [*found, *text.unmatched(loaded)]
        )
    _print(found, as_json)
    if strict and any(finding.level == "warning" for finding in findings):
        raise typer.Exit(FAILED)


@app.command()
def explain(
    policy: Reference,
    p: Annotated[
        list[str] | None,
        typer.Option("-p", "--p", metavar="ID=P", help="A category's probability; repeat it."),
    ] = None,
    rest: Annotated[
        float, typer.Option(metavar="P", help="The probability of all other categories.")
    ] = 0.0,
    error: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The judge failed, for this reason.")
    ] = None,
    when: Annotated[
        list[str] | None,
        typer.Option("--when", metavar="KEY=VALUE", help="Request metadata, for a selection."),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="The verdict is a reading of the answer so far.")
    ] = False,
    last: Annotated[bool, typer.Option("--last", help="With --watch: the answer is over.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what a policy decides on a verdict, by which rule, and why."""
    from guardrail.cli.policy_verdict import metadata_of, verdict_of
    from guardrail.policy import explanation

    if last and not watch:
        raise typer.BadParameter("--last needs --watch: it is about a reading of the answer")
    loaded = _chosen(load_any(policy), metadata_of(when or []))
    verdict = verdict_of(loaded.policy, p or [], rest=rest, error=error)
    if watch:
        found = explanation.explain_reading(loaded, verdict, last=last)
        _print(found if as_json else text.reading_explanation(found), as_json)
        return
    found = explanation.explain(loaded, verdict)
    _print(found if as_json else text.explanation(found), as_json)


@app.command()
def diff(
    old: Reference,
    new: Reference,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 if anything is decided differently.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what the second policy decides differently from the first."""
    from guardrail.policy.difference import difference

    before, after = load(old).policy, load(new).policy
    found = difference(before, after)
    _print(found if as_json else text.differences(found, before, after), as_json)
    if exit_code and (found["decisions"] or found["watch"]):
        raise typer.Exit(FAILED)


@app.command("test")
def run_tests(
    cases: Annotated[
        str, typer.Argument(metavar="NAME|PATH", help="A cases file, or a policy with one.")
    ],
    min_coverage: Annotated[
        float, typer.Option(min=0, max=100, metavar="PERCENT", help="Fail below this coverage.")
    ] = 0.0,
    model: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="A model to judge the cases that have a picture."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a policy's own cases, and report which of its rules they reach."""
    from guardrail.policy.cases import run_cases

    run = run_cases(cases, _judge(model) if model else None)
    enough = run.coverage.percent >= min_coverage
    _print(text.tested_json(run) if as_json else text.tested(run, min_coverage), as_json)
    if run.count("failed") or run.shows_nothing or not enough:
        raise typer.Exit(FAILED)


@app.command("keys")
def keys_(
    key: Annotated[
        str | None,
        typer.Argument(metavar="KEY", help="A key, such as verdict.unsafe_at, watch or on_error."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the keys of a policy file, or say what one means and does to an answer, by example."""
    from guardrail.policy.reference import find_keys, keys

    found = find_keys(key) if key else list(keys())
    if as_json:
        _print([asdict(each) for each in found], as_json)
    else:
        _print(key_text.told(found) if key else key_text.listing(found))


@app.command()
def schema(
    selection: Annotated[
        bool, typer.Option("--selection", help="Of a selection file, not of a policy.")
    ] = False,
    cases: Annotated[
        bool, typer.Option("--cases", help="Of a cases file, not of a policy.")
    ] = False,
) -> None:
    """Print the JSON Schema of a policy file, with which editors complete and check."""
    from guardrail.policy.json_schema import file_schema, selection_schema

    if selection and cases:
        raise typer.BadParameter("--selection and --cases exclude each other")
    if cases:
        from guardrail.policy.cases import cases_schema

        found = cases_schema()
    else:
        found = selection_schema() if selection else file_schema()
    _print(found, as_json=True)


def _print(content: Any, as_json: bool = False) -> None:
    lines = [json.dumps(content, ensure_ascii=False, indent=2)] if as_json else content
    for line in lines:
        typer.echo(line)


def _chosen(loaded: Loaded | LoadedSelection, metadata: dict[str, str]) -> Loaded:
    if isinstance(loaded, Loaded):
        return loaded
    policy = loaded.choose(metadata)
    return next(part for part in loaded.parts if part.policy is policy)


def _encoder(path: Path) -> Encode:
    from guardrail.cli.policy_tokenizer import encoder

    return encoder(path)


def _judge(model: str) -> Any:
    from guardrail.cli.policy_judge import picture_judge

    return picture_judge(model)
