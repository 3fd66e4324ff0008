// The playground: asks by the chat API and shows what comes. Nothing is stored, and what a model or
// a server says is text to the page, never markup.
"use strict";
(() => {
  const at = (id) => document.getElementById(id);
  const form = at("ask"), question = at("question"), key = at("key"), compare = at("compare");
  const status = at("status"), failure = at("failure"), found = at("found"), decided = at("decision");
  const go = at("go"), stop = at("stop"), file = at("file");
  const largest = 40 * 2 ** 20; // bytes of a picture, which become a third more on their way
  let picture = null, running = null, policy = null;

  const make = (tag, given = {}, ...inside) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(given)) made.setAttribute(name, value);
    made.append(...inside);
    return made;
  };
  const drawn = (tag, given, ...inside) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(given)) made.setAttribute(name, value);
    made.append(...inside);
    return made;
  };
  const number = (value, digits = 3) => typeof value === "number" ? value.toFixed(digits) : "–";
  const percent = (value) => `${100 * Math.min(Math.max(value || 0, 0), 1)}%`;
  const rect = (kind, value, place = {}) =>
    drawn("rect", { class: kind, width: percent(value), height: "100%", ...place });
  const code = (text) => make("code", {}, text);
  const token = (text) => code(text.trim() ? text : JSON.stringify(text)); // else there is nothing to see
  const cell = (label, ...inside) => make("td", { "data-label": label }, ...inside);
  const scrolled = (tag, kind, title, ...inside) =>
    make(tag, { class: kind, tabindex: "0", role: "region", "aria-label": title }, ...inside);
  const table = (kind, title, heads, rows) => scrolled("div", "scroll", title, make("table", { class: kind },
    make("thead", {}, make("tr", {}, ...heads.map((each) => make("th", { scope: "col" }, each)))),
    make("tbody", {}, ...rows)));
  const part = (title, ...inside) => make("section", {}, make("h3", {}, title), ...inside);
  const listed = (kind, each) => make("ul", { class: kind }, ...each.map((one) => make("li", {}, one)));

  // --- the picture

  const show = (url, name) => {
    picture = url;
    at("shown").hidden = at("remove").hidden = url === null;
    at("hint").hidden = url !== null;
    if (url === null) at("shown").removeAttribute("src");
    else at("shown").src = url;
    at("shown").alt = name;
  };
  const fail = (text) => {
    failure.textContent = text;
    failure.hidden = !text;
  };
  const read = (blob) => new Promise((done, broken) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = () => broken(new Error("the picture cannot be read"));
    reader.readAsDataURL(blob);
  });
  const take = async (blob, name) => {
    fail("");
    if (!blob.type.startsWith("image/")) return fail(`${name || "This"} is no picture.`);
    if (blob.size > largest) return fail(`${name || "This picture"} is too large.`);
    show(await read(blob), name || "the pasted picture");
    question.focus();
  };
  file.addEventListener("change", () => file.files[0] && take(file.files[0], file.files[0].name));
  at("remove").addEventListener("click", () => {
    file.value = "";
    show(null, "");
    file.focus();
  });
  document.addEventListener("paste", (event) => {
    const pasted = [...(event.clipboardData?.files || [])].find((each) => each.type.startsWith("image/"));
    if (!pasted) return;
    event.preventDefault();
    take(pasted, pasted.name);
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault(); // else a picture that misses the place opens instead of the page
    at("drop").classList.add("over");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget || at("drop").classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    at("drop").classList.remove("over");
    const dropped = event.dataTransfer?.files[0];
    if (dropped) take(dropped, dropped.name);
  });
  for (const each of document.querySelectorAll("[data-picture]"))
    each.addEventListener("click", async () => {
      question.value = each.dataset.question;
      try {
        const answer = await fetch(each.dataset.picture);
        await take(await answer.blob(), each.dataset.shows);
      } catch (error) {
        fail(error.message);
      }
    });

  // --- asking

  const headers = () => ({
    "content-type": "application/json",
    ...(key?.value ? { authorization: `Bearer ${key.value}` } : {}),
  });
  async function* events(answer) {
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let held = ""; ;) {
      const { done, value } = await reader.read();
      if (done) throw new Error("The answer broke off.");
      const lines = (held + value).split("\n\n");
      held = lines.pop();
      for (const line of lines) {
        const said = line.slice("data: ".length);
        if (said === "[DONE]") return;
        yield JSON.parse(said);
      }
    }
  }
  const refusal = async (answer) => {
    if (answer.ok) return null;
    try {
      return (await answer.json()).error;
    } catch { // of somebody between
      return { message: "The server cannot be asked", code: answer.status };
    }
  };
  const told = (error) => {
    fail(`${error.message} (${error.code})`);
    if (!error.guardrail && !at("guarded").textContent) found.hidden = true;
    if (error.code === "no_key") key?.focus();
    if (error.guardrail) return decision(error.guardrail, {});
  };
  const busy = (id, is) => at(id).setAttribute("aria-busy", is);

  const clear = (both) => {
    fail("");
    for (const id of ["guarded", "guarded-end", "unguarded", "unguarded-end"]) at(id).textContent = "";
    decided.replaceChildren();
    decided.hidden = at("action").hidden = true;
    at("unguarded-side").hidden = !both;
    found.hidden = false;
    found.scrollIntoView({ block: "nearest" });
    busy("guarded", true);
    busy("unguarded", both);
  };

  const asked = async (both, signal) => {
    const content = [{ type: "text", text: question.value }];
    if (picture) content.unshift({ type: "image_url", image_url: { url: picture } });
    const body = { messages: [{ role: "user", content }], temperature: 0, stream: true };
    const path = both ? "v1/guardrail/compare" : "v1/chat/completions";
    return fetch(path, { method: "POST", headers: headers(), body: JSON.stringify(body), signal });
  };

  const ask = async (signal) => {
    let both = Boolean(compare?.checked);
    clear(both);
    status.textContent = "Asking …";
    const began = performance.now(), measured = {};
    let answer = await asked(both, signal);
    let refused = await refusal(answer);
    if (both && refused?.code === "no_comparison") {
      both = compare.checked = false;
      clear(both);
      status.textContent = `Asking guarded alone: ${refused.message} …`;
      answer = await asked(both, signal);
      refused = await refusal(answer);
    }
    if (refused) return told(refused);
    for await (const event of events(answer)) {
      if (event.error) return told(event.error);
      const piece = event.choices?.[0]?.delta?.content;
      if (piece) {
        measured["first words here"] ??= performance.now() - began;
        at("guarded").append(piece);
      }
      if (event.guardrail) {
        measured["all of it here"] = performance.now() - began;
        at("guarded-end").textContent = ended(event.choices[0].finish_reason, measured["all of it here"]);
        busy("guarded", false);
        await decision(event.guardrail, measured);
        status.textContent = both ? "Asking unguarded …" : said(event.guardrail);
      }
      if (event.unguarded) {
        at("unguarded").textContent = event.unguarded.text;
        const took = event.unguarded.timings_ms.total;
        at("unguarded-end").textContent = ended(event.unguarded.finish_reason, took);
        busy("unguarded", false);
        status.textContent = "Both answers are there.";
      }
    }
  };
  const ended = (reason, took) => `Ended by ${reason}, ${number(took, 0)} ms.`;
  const said = (record) => `Answered: ${record.action}, the verdict is ${record.verdict.label ?? "none"}.`;

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (running) return;
    running = new AbortController();
    go.setAttribute("aria-disabled", "true");
    stop.disabled = false;
    try {
      await ask(running.signal);
    } catch (error) {
      status.textContent = error.name === "AbortError" ? "Stopped." : "";
      if (error.name !== "AbortError") fail(error.message || "The server cannot be reached.");
    }
    if (document.activeElement === stop) go.focus();
    stop.disabled = true;
    go.removeAttribute("aria-disabled");
    busy("guarded", false);
    busy("unguarded", false);
    if (!failure.hidden) status.textContent = "";
    running = null;
    state();
  });
  stop.addEventListener("click", () => running?.abort());
  question.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    form.requestSubmit();
  });

  const state = async () => {
    try {
      const now = await (await fetch("ready")).json();
      at("state").textContent = `${now.status}, ${now.under_way} under way`;
    } catch {
      at("state").textContent = "cannot be reached";
    }
  };

  // --- what was decided

  const limits = async (digest) => {
    if (policy?.digest !== digest) {
      const answer = await fetch("v1/guardrail/policy", { headers: headers() });
      policy = answer.ok ? await answer.json() : null;
    }
    // Another one holds by now: these are not the thresholds that decided.
    const known = policy?.digest === digest ? policy.categories : [];
    return new Map(known.map((each) => [each.id, each]));
  };

  const decision = async (record, measured) => {
    const action = at("action");
    action.textContent = record.action;
    action.className = `badge ${record.action}`;
    action.hidden = false;
    const known = await limits(record.policy.digest);
    decided.replaceChildren(
      why(record), verdict(record, known), steps(record), timings(record, measured), whole(record));
    decided.hidden = false;
  };

  const why = (record) => {
    const rule = make("p", {}, ...(record.rule ? ["Rule ", code(record.rule), " of "] : ["Under "]),
      `policy ${record.policy.name}`, record.mode === "enforce" ? "." : `, mode ${record.mode}.`);
    const made = part("Why", rule, listed("reasons", record.reasons));
    if (record.outcome.replaced) made.append(make("p", {}, "The policy’s words replaced what the model began."));
    if (record.errors.length) made.append(listed("problem", record.errors));
    return made;
  };

  const label = (p, limit) => {
    if (!limit) return "";
    return p >= limit.unsafe_at ? "unsafe" : p < limit.safe_below ? "safe" : "uncertain";
  };
  const mark = (kind, value) =>
    drawn("line", { class: kind, x1: percent(value), x2: percent(value), y1: "0", y2: "100%" });
  const verdict = (record, known) => {
    const rows = Object.entries(record.verdict.categories).sort((one, other) => other[1] - one[1]).map(([name, p]) => {
      const limit = known.get(name), decides = name === record.category;
      const bar = drawn("svg", { class: "bar tall", role: "img", "aria-label": `${number(p, 2)} of 1` },
        rect("track", 1), rect(`fill ${label(p, limit)}`, p));
      if (limit) bar.append(mark("mark", limit.safe_below), mark("mark strong", limit.unsafe_at));
      return make("tr", decides ? { class: "decided" } : {},
        make("th", { scope: "row" }, name, ...(decides ? [make("small", {}, " decided")] : [])),
        make("td", { class: "wide" }, bar), cell("p", number(p)),
        cell("safe below", number(limit?.safe_below, 2)), cell("unsafe at", number(limit?.unsafe_at, 2)),
        cell("label", label(p, limit) || "–"));
    });
    const title = `Verdict: ${record.verdict.label ?? "not judged"}`;
    if (!rows.length) return part(title, make("p", { class: "muted" }, record.verdict.error || "No category was judged."));
    return part(title,
      make("p", { class: "muted" }, `Probability that helping would cause harm, as judged by ${record.verdict.source}. Marks: safe below, unsafe at.`),
      table("verdict", "Verdict by category", ["Category", "Probability", "p", "safe below", "unsafe at", "Label"], rows));
  };

  const steps = (record) => {
    const title = "Guided steps";
    const contrast = record.contrast.applied
      ? `Contrast was applied: alpha ${record.contrast.alpha}, noise ${record.contrast.noise_std}.`
      : `No contrast${record.contrast.skipped ? `: ${record.contrast.skipped}` : ""}.`;
    if (!record.steps.length) return part(title, make("p", { class: "muted" }, "Nothing was generated under guidance."));
    const rows = record.steps.map((each) => make("tr", each.token === each.token_unguarded ? {} : { class: "decided" },
      make("th", { scope: "row" }, String(each.step)), cell("token", token(each.token)),
      cell("would have been", token(each.token_unguarded)),
      cell("refusal before", number(each.refusal_mass_before)), cell("refusal after", number(each.refusal_mass_after)),
      cell("divergence", number(each.divergence))));
    const heads = ["Step", "Token", "Would have been", "Refusal mass before", "after", "Divergence (nats)"];
    return part(title, table("guided", title, heads, rows), make("p", { class: "muted" }, contrast),
      make("details", {}, make("summary", {}, "The likeliest tokens of each step"),
        make("div", { class: "steps" }, ...record.steps.map(candidates))));
  };
  const candidates = (each) => make("article", { class: "step" }, make("h4", {}, `Step ${each.step}: `, token(each.token)),
    table("tokens", `Tokens of step ${each.step}`, ["Token", "Probability", "real", "noised", "after"], each.top.map((one) =>
      make("tr", one.token === each.token ? { class: "decided" } : {},
        make("th", { scope: "row" }, token(one.token)),
        make("td", { class: "wide" }, drawn("svg", { class: "triple", "aria-hidden": "true" },
          rect("real", one.real, { y: "0", height: "30%" }), rect("noised", one.noised, { y: "35%", height: "30%" }),
          rect("guarded", one.guarded, { y: "70%", height: "30%" }))),
        cell("real", number(one.real)), cell("noised", number(one.noised)), cell("after", number(one.guarded))))));

  const timings = (record, measured) => part("Timings", make("dl", {},
    ...Object.entries({ ...record.timings_ms, ...measured }).map(([name, took]) =>
      make("div", {}, make("dt", {}, name.replaceAll("_", " ")), make("dd", {}, `${number(took, 1)} ms`)))));

  const whole = (record) => make("details", {}, make("summary", {}, "The whole decision, as JSON"),
    scrolled("pre", "line", "The decision as JSON", JSON.stringify(record, null, 2)));

  form.hidden = false;
  state();
})();
