"""One self-contained HTML file about a log: it loads nothing and runs no script."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from guardrail.errors import AuditError
from guardrail.record.audit.checking import verify_path
from guardrail.record.audit.failures import failure_counts, newest
from guardrail.record.audit.filters import Filter
from guardrail.record.audit.log import now
from guardrail.record.audit.page.charts import chart_of
from guardrail.record.audit.page.views import source_hash, static_file, templates
from guardrail.record.audit.queries import LogReader
from guardrail.record.audit.verification import Verification
from guardrail.record.keys import AuditKey


def write_report(
    log: Path, out: Path, chosen: Filter, *, key: AuditKey | None, limit: int
) -> Verification:
    """Writes a report; returns whether the log verifies, as the report says, too.

    Args:
        log: The log.
        out: The file to write.
        chosen: Which decisions it is about.
        key: Checks the log; without it only hashes are checked.
        limit: How many decisions are listed.

    Raises:
        AuditError: The log cannot be read, or the file cannot be written.
    """
    found = verify_path(log, key)
    style = static_file("page.css")
    with LogReader(log) as reader:
        buckets = reader.buckets(chosen)
        page = templates().get_template("report.html").render(
            found=found,
            stats=reader.stats(chosen),
            charts=[(by, chart_of(buckets, by=by)) for by in ("action", "category")],
            failures=failure_counts(reader, chosen),
            decisions=newest(reader, chosen, limit=limit),
            style=Markup(style),  # our own file, whole: the policy above holds its digest
            style_hash=source_hash(style),
            written=now(),
        )  # fmt: skip
    try:
        out.write_text(page.lstrip(), encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise AuditError(f"cannot write {str(out)!r}: {error.strerror}") from error
    return found
