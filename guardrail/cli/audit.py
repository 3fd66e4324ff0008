"""`guardrail audit`: read, verify, export, prune, replay and show the audit log.

It loads neither torch nor transformers nor langchain. Exit status: 0 done, 1 a check failed, 2 bad
use or bad input.
"""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from guardrail.cli import audit_text as text
from guardrail.cli.audit_options import (
    Action,
    AsJson,
    Category,
    KeyFile,
    Limit,
    Log,
    PolicyName,
    Since,
    Until,
    chosen_of,
    key_of,
    print_out,
)
from guardrail.errors import AuditError
from guardrail.record.audit.failures import failure_counts, find, newest
from guardrail.record.audit.queries import LogReader
from guardrail.record.audit.times import anchor_of, span_of

FAILED = 1

app = typer.Typer(
    help="Read, verify, export, prune, replay and show the audit log.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.command()
def tail(
    log: Log,
    limit: Limit = 20,
    action: Action = None,
    category: Category = None,
    policy: PolicyName = None,
    since: Since = None,
    until: Until = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with new decisions as they come.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the newest decisions, and requests that failed before one, the newest last.

    With --json one object a line; --action failed lists the failures alone.
    """
    chosen = chosen_of(action, category, policy, since, until)
    with LogReader(log) as reader:
        found = newest(reader, chosen, limit=limit)[::-1]
        if not as_json and found:
            typer.echo(text.HEADING)
        while True:
            for each in found:
                typer.echo(json.dumps(asdict(each)) if as_json else text.line(each))
            if not follow:
                break
            last = found[-1].seq if found else 0
            found = []
            while not found:
                time.sleep(0.5)
                found = newest(reader, chosen, limit=1000, after=last)[::-1]


@app.command()
def show(
    log: Log,
    record: Annotated[str, typer.Argument(metavar="PLACE|REQUEST", help="Which record.")],
    as_json: AsJson = False,
) -> None:
    """Show one record: verdict, the rule that decided, guided steps, readings of the answer."""
    with LogReader(log) as reader:
        found = find(reader, record)
        if as_json:
            raw = reader.raw(found.seq)
            assert raw is not None
            body, digest, signature = raw
            print_out({"record": json.loads(body), "hash": digest, "signature": signature}, as_json)
        else:
            print_out(text.record(found))


@app.command()
def stats(
    log: Log,
    action: Action = None,
    category: Category = None,
    policy: PolicyName = None,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
) -> None:
    """Count decisions by action, verdict, category and policy; rates and times."""
    with LogReader(log) as reader:
        chosen = chosen_of(action, category, policy, since, until)
        found = {**reader.stats(chosen), "failures": failure_counts(reader, chosen)}
    print_out(found if as_json else text.stats(found), as_json)


@app.command()
def verify(
    log: Annotated[
        Path,
        typer.Argument(
            metavar="LOG|DIR",
            envvar="GUARDRAIL_AUDIT_LOG",
            help="The log, an export of it, or a folder of logs.",
        ),
    ],
    key: KeyFile = None,
    without_key: Annotated[
        bool, typer.Option("--without-key", help="Check the hashes alone.")
    ] = False,
    anchor: Annotated[
        str | None,
        typer.Option(
            metavar="SEQ:HASH",
            help="An earlier check's anchor: finds a log put back to an older state.",
            show_default=False,
        ),
    ] = None,
    after: Annotated[
        Path | None,
        typer.Option(
            metavar="OLD",
            help="The log that was rotated away: it is checked too, and that LOG continues it.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check every record, and name the first that was altered, removed, reordered or inserted.

    Of a folder, each log in it is checked, also while it is written to.
    """
    from guardrail.record.audit.checking import verify_path
    from guardrail.record.audit.folder import verify_folder

    used = None if without_key else key_of(key)
    found: Any
    if log.is_dir():
        if anchor or after:
            raise AuditError("--anchor and --after are of one log, and not of a folder")
        found = verify_folder(log, used)
        shown = text.folder(found)
    else:
        found = verify_path(log, used, anchor=anchor_of(anchor) if anchor else None, after=after)
        shown = text.verification(found)
    print_out(found.plain() if as_json else shown, as_json)
    if not found.ok:
        raise typer.Exit(FAILED)


@app.command()
def export(
    log: Log,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What to write.")],
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="jsonl|parquet",
            help="By default by the file's ending.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the whole log to a file that can be verified elsewhere."""
    from guardrail.record.audit.interchange import DatabaseSource, export_jsonl, export_parquet

    chosen = form or file.suffix.lstrip(".")
    if chosen not in ("jsonl", "parquet"):
        raise AuditError(f"the format is {chosen!r}, expected 'jsonl' or 'parquet'")
    with LogReader(log) as reader, reader.unchanging() as connection:
        write = export_jsonl if chosen == "jsonl" else export_parquet
        written = write(DatabaseSource(connection), file)
    print_out(
        {"records": written, "file": str(file), "format": chosen}
        if as_json
        else [f"{written} records written to {file}"],
        as_json,
    )


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An exported log.")],
    log: Annotated[Path, typer.Argument(metavar="LOG", help="The new log.")],
    key: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Turn an exported log into a database again, and verify it."""
    from guardrail.record.audit.checking import verify_path
    from guardrail.record.audit.interchange import ExportSource, import_log, is_export

    if not is_export(file):
        raise AuditError(f"{str(file)!r} is no exported audit log")
    found_key = key_of(key)
    import_log(ExportSource(file), log)
    found = verify_path(log, found_key)
    print_out(found.plain() if as_json else text.verification(found), as_json)
    if not found.ok:
        raise typer.Exit(FAILED)


@app.command()
def prune(
    log: Log,
    older_than: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help="Remove what is older: 90d, 12h.", show_default=False),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Keep the newest N.", show_default=False),
    ] = None,
    key: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Remove the oldest records; a signed checkpoint stands for them, the rest stays provable."""
    from guardrail.record.audit.log import AuditLog
    from guardrail.record.audit.retention import prune as remove

    with AuditLog(log, key=key_of(key)) as opened:
        found = remove(opened, older_than=span_of(older_than) if older_than else None, keep=keep)
    print_out(
        asdict(found) if as_json else [f"{found.removed} records removed, {found.kept} kept"],
        as_json,
    )


@app.command()
def replay(
    log: Log,
    policy: Annotated[str, typer.Option("--policy", metavar="NAME|PATH", help="The other policy.")],
    action: Action = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="Changes to list.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Decide old records, and readings of their answers, again under another policy.

    No model is needed. What was not generated since an answer was ended cannot be known.
    """
    from guardrail.policy import load_policy
    from guardrail.record.audit.replay import replay as decide_again

    other = load_policy(policy)
    with LogReader(log) as reader:
        found = decide_again(reader.records(chosen_of(action, None, None, since, until)), other)
    print_out(found.plain() if as_json else text.replay(found, limit), as_json)


@app.command()
def report(
    log: Log,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="What to write.")] = Path(
        "audit-report.html"
    ),
    since: Since = None,
    until: Until = None,
    limit: Limit = 200,
    key: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Write one self-contained HTML file: counts, rates over time, decisions, verification."""
    from guardrail.record.audit.page.report import write_report

    chosen = chosen_of(None, None, None, since, until)
    verification = write_report(log, out, chosen, key=key_of(key, needed=False), limit=limit)
    done = {"file": str(out), "ok": verification.ok}
    print_out(done if as_json else [f"report written to {out}"], as_json)


@app.command()
def serve(
    log: Log,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8717,
    key: KeyFile = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print where it listens as JSON.")
    ] = False,
) -> None:
    """Show the log as a page on this machine, for reading only."""
    from guardrail.record.audit.page.server import make_server

    with closing(make_server(log, port=port, key=key_of(key, needed=False))) as server:
        typer.echo(json.dumps({"url": server.url}) if as_json else f"audit log on {server.url}")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            typer.echo()


@app.command()
def schema() -> None:
    """Print the JSON Schema of a record."""
    from guardrail.record.audit.record import AuditRecord

    print_out(AuditRecord.model_json_schema(), as_json=True)


@app.command()
def keygen(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The key file to write.")],
    ed25519: Annotated[
        bool, typer.Option("--ed25519", help="A key whose public half checks and cannot sign.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a key, readable by its owner only; with --ed25519 also FILE.pub, for who checks."""
    from guardrail.record.keys import ED25519, HMAC, Ed25519Key, new_key, write_key

    key = write_key(file, new_key(ED25519 if ed25519 else HMAC))
    files = [str(file)]
    if isinstance(key, Ed25519Key):
        public = Path(f"{file}.pub")
        public.write_text(key.spell_public() + "\n", encoding="ascii")
        files.append(str(public))
    made = {"key": key.id, "algorithm": key.algorithm, "files": files}
    print_out(made if as_json else [f"{key.algorithm} key {key.id}: {', '.join(files)}"], as_json)
