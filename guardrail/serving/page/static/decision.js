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

  const timings = (took) => {
    const each = Object.entries(took).map(([name, ms]) =>
      make("div", {}, make("dt", {}, name.replaceAll("_", " ")), make("dd", {}, `${number(ms, 1)} ms`)));
    return part("Timings", make("dl", {}, ...each));
  };

  // The parts of a record; `limits` has its policy's thresholds by category, `measured` times here.
  return (record, limits, measured) => [
    why(record),
    verdict(record, limits),
    steps(record),
    timings({ ...record.timings_ms, ...measured }),
    opened("The whole decision, as JSON",
      scrolled("pre", "line", "The decision as JSON", JSON.stringify(record, null, 2))),
  ];
})();

