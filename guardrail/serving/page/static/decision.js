// Shows a decision: the elements that its record becomes. All of a record is text to them.
"use strict";
const partsOf = (() => {
  const filled = (made, given, inside) => {
    for (const [name, value] of Object.entries(given)) made.setAttribute(name, value);
    made.append(...inside);
    return made;
  };
  const make = (tag, given = {}, ...inside) => filled(document.createElement(tag), given, inside);
  const drawn = (tag, given, ...inside) =>
    filled(document.createElementNS("http://www.w3.org/2000/svg", tag), given, inside);

  const number = (value, digits = 3) => (typeof value === "number" ? value.toFixed(digits) : "–");
  const percent = (value) => `${100 * Math.min(Math.max(value || 0, 0), 1)}%`;
  const code = (text) => make("code", {}, text);
  const token = (text) => code(text.trim() ? text : JSON.stringify(text)); // else nothing is to be seen
  const muted = (text) => make("p", { class: "muted" }, text);
  const part = (title, ...inside) => make("section", {}, make("h3", {}, title), ...inside);
  const listed = (kind, each) => make("ul", { class: kind }, ...each.map((one) => make("li", {}, one)));
  const opened = (title, ...inside) => make("details", {}, make("summary", {}, title), ...inside);
  const scrolled = (tag, kind, title, ...inside) =>
    make(tag, { class: kind, tabindex: "0", role: "region", "aria-label": title }, ...inside);

  const table = (kind, title, heads, rows) => {
    const head = make("tr", {}, ...heads.map((each) => make("th", { scope: "col" }, each)));
    const made = make("table", { class: kind }, make("thead", {}, head), make("tbody", {}, ...rows));
    return scrolled("div", "scroll", title, made);
  };
  const row = (marked, head, ...cells) =>
    make("tr", marked ? { class: "decided" } : {}, make("th", { scope: "row" }, ...head), ...cells);
  const cell = (label, inside) => make("td", { "data-label": label }, inside);

  const rect = (kind, value, place = {}) =>
    drawn("rect", { class: kind, width: percent(value), height: "100%", ...place });
  const mark = (kind, value) =>
    drawn("line", { class: kind, x1: percent(value), x2: percent(value), y1: "0", y2: "100%" });

  const why = (record) => {
    const rule = record.rule ? ["Rule ", code(record.rule), " of "] : ["Under "];
    const mode = record.mode === "enforce" ? "" : `, mode ${record.mode}`;
    const made = part("Why", make("p", {}, ...rule, `policy ${record.policy.name}${mode}.`));
    made.append(listed("reasons", record.reasons));
    if (record.outcome.replaced) made.append(muted("The policy’s words replaced what the model began."));
    if (record.errors.length) made.append(listed("problem", record.errors));
    return made;
  };

  const labelOf = (p, limit) => {
    if (!limit) return "";
    return p >= limit.unsafe_at ? "unsafe" : p < limit.safe_below ? "safe" : "uncertain";
  };
  const category = (name, p, limit, decides) => {
    const label = labelOf(p, limit);
    const said = { class: "bar tall", role: "img", "aria-label": `${number(p, 2)} of 1` };
    const bar = drawn("svg", said, rect("track", 1), rect(`fill ${label}`, p));
    if (limit) bar.append(mark("mark", limit.safe_below), mark("mark strong", limit.unsafe_at));
    return row(
      decides,
      decides ? [name, make("small", {}, " decided")] : [name],
      make("td", { class: "wide" }, bar),
      cell("p", number(p)),
      cell("safe below", number(limit?.safe_below, 2)),
      cell("unsafe at", number(limit?.unsafe_at, 2)),
      cell("label", label || "–"),
    );
  };
  const verdict = (record, limits) => {
    const { categories, error, label, source } = record.verdict;
    const title = `Verdict: ${label ?? "not judged"}`;
    const sorted = Object.entries(categories).sort((one, other) => other[1] - one[1]);
    if (!sorted.length) return part(title, muted(error || "No category was judged."));
    const rows = sorted.map(([name, p]) => category(name, p, limits.get(name), name === record.category));
    const heads = ["Category", "Probability", "p", "safe below", "unsafe at", "Label"];
    const about = `Probability that helping would cause harm, as judged by ${source}.`;
    const marks = limits.size ? " Marks: safe below, unsafe at." : "";
    return part(title, muted(about + marks), table("verdict", "Verdict by category", heads, rows));
  };

  const step = (each) =>
    row(
      each.token !== each.token_unguarded,
      [String(each.step)],
      cell("token", token(each.token)),
      cell("would have been", token(each.token_unguarded)),
      cell("refusal before", number(each.refusal_mass_before)),
      cell("refusal after", number(each.refusal_mass_after)),
      cell("divergence", number(each.divergence)),
    );
  const branches = [["real", "real branch"], ["noised", "noised branch"], ["guarded", "after modulation"]];
  const legend = () => {
    const swatch = (kind) => drawn("svg", { class: "swatch", "aria-hidden": "true" }, rect(kind, 1));
    const each = branches.map(([kind, name]) => make("li", {}, swatch(kind), name));
    return make("ul", { class: "legend" }, ...each);
  };
  const candidate = (one, taken) => {
    const bars = branches.map(([kind], at) => rect(kind, one[kind], { y: `${35 * at}%`, height: "30%" }));
    return row(
      taken,
      [token(one.token)],
      make("td", { class: "wide" }, drawn("svg", { class: "triple", "aria-hidden": "true" }, ...bars)),
      ...branches.map(([kind, name]) => cell(name, number(one[kind]))),
    );
  };
  const candidates = (each) => {
    const rows = each.top.map((one) => candidate(one, one.token === each.token));
    const heads = ["Token", "Probability", "real", "noised", "after"];
    const title = make("h4", {}, `Step ${each.step}: `, token(each.token));
    return make("article", { class: "step" }, title,
      table("tokens", `Tokens of step ${each.step}`, heads, rows));
  };
  const steps = (record) => {
    const title = "Guided steps", { applied, alpha, noise_std: noise, skipped } = record.contrast;
    if (!record.steps.length) return part(title, muted("Nothing was generated under guidance."));
    const heads = ["Step", "Token", "Would have been", "Refusal mass before", "after", "Divergence (nats)"];
    const contrast = applied
      ? `Contrast was applied: alpha ${alpha}, noise ${noise}.`
      : `No contrast${skipped ? `: ${skipped}` : ""}.`;
    return part(title, table("guided", title, heads, record.steps.map(step)), muted(contrast),
      opened("The likeliest tokens of each step", legend(),
        make("div", { class: "steps" }, ...record.steps.map(candidates))));
  };

  // The curve of p over the answer's tokens. `watch` has the thresholds; null if they are not known.
  const glyphs = {
    release: "M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0Z",
    record: "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0Z",
    hold: "M-3.5-3.5H3.5V3.5H-3.5Z",
    steer: "M0-5L5 4H-5Z",
    escalate: "M0-6L6 0L0 6L-6 0Z",
    end: "M-4.5-4.5H4.5V4.5H-4.5Z",
    replace: "M-4.5-4.5L4.5 4.5M4.5-4.5L-4.5 4.5",
  };
  const curve = (readings, watch, tokens) => {
    const across = (at) => 40 + (348 * at) / tokens, up = (p) => 116 - 104 * (p ?? 1);
    const line = (kind, x1, x2, y1, y2) => drawn("line", { class: kind, x1, x2, y1, y2 });
    const text = (x, y, anchor, said) => drawn("text", { x, y, "text-anchor": anchor }, said);
    const known = readings.filter((each) => each.p_unsafe !== null);
    const named = `Probability of harm over the answer’s tokens, readings: ${readings.length}`;
    const made = drawn("svg", { viewBox: "0 0 400 140", role: "img", "aria-label": named });
    for (const p of [0, 0.5, 1])
      made.append(line("grid", 40, 388, up(p), up(p)), text(34, up(p) + 4, "end", String(p)));
    made.append(text(40, 133, "middle", "0"), text(388, 133, "end", `${tokens} tokens`));
    if (watch)
      made.append(
        line("mark", 40, 388, up(watch.safe_below), up(watch.safe_below)),
        line("mark strong", 40, 388, up(watch.unsafe_at), up(watch.unsafe_at)),
      );
    const points = known.map((each) => `${across(each.tokens)},${up(each.p_unsafe)}`).join(" ");
    made.append(drawn("polyline", { points }));
    const marked = readings.filter((each) => readings.length <= 60 || each.act !== "release");
    for (const each of marked) {
      const transform = `translate(${across(each.tokens)} ${up(each.p_unsafe)})`;
      made.append(drawn("path", { class: `act ${each.act}`, transform, d: glyphs[each.act] ?? "" }));
    }
    return made;
  };
  const reading = (each) =>
    row(
      each.act !== "release",
      [String(each.tokens), ...(each.over ? [make("small", {}, " all of it")] : [])],
      cell("p", number(each.p_unsafe)),
      cell("label", each.label),
      cell("act", each.act),
      make("td", { class: "why" }, each.reasons.join("; ")),
    );
  const watched = (record, watch) => {
    const readings = record.watch ?? [];
    if (!readings.length) return [];
    const acts = [...new Set(readings.map((each) => each.act))].map((act) => {
      const glyph = { class: "glyph", "aria-hidden": "true", viewBox: "-7 -7 14 14" };
      const mark = drawn("path", { class: `act ${act}`, d: glyphs[act] ?? "" });
      const count = readings.filter((each) => each.act === act).length;
      return make("li", {}, drawn("svg", glyph, mark), `${act} `, make("b", {}, String(count)));
    });
    const marks = watch ? ` Lines: safe below ${watch.safe_below}, unsafe at ${watch.unsafe_at}.` : "";
    const about = "Probability of harm of the answer as far as it had come.";
    const tokens = Math.max(1, record.outcome.output_tokens, ...readings.map((each) => each.tokens));
    const heads = ["Tokens", "p", "Label", "Act", "Why"];
    const figure = make("figure", { class: "curve" }, curve(readings, watch, tokens));
    return [part("Readings of the answer", muted(about + marks), figure,
      make("ul", { class: "legend" }, ...acts),
      opened("The readings as numbers, with the reasons",
        table("readings", "Readings of the answer", heads, readings.map(reading))))];
  };

  const timings = (took) => {
    const each = Object.entries(took).map(([name, ms]) =>
      make("div", {}, make("dt", {}, name.replaceAll("_", " ")), make("dd", {}, `${number(ms, 1)} ms`)));
    return part("Timings", make("dl", {}, ...each));
  };

  // The parts of a record; `limits` has its policy's thresholds by category, `watch` how it has answers
  // read (or null), `measured` times here.
  return (record, limits, watch, measured) => [
    why(record),
    verdict(record, limits),
    steps(record),
    ...watched(record, watch),
    timings({ ...record.timings_ms, ...measured }),
    opened("The whole decision, as JSON",
      scrolled("pre", "line", "The decision as JSON", JSON.stringify(record, null, 2))),
  ];
})();
