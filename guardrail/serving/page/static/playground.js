// Asks by the chat API and shows what comes. Nothing is stored, and what a model or a server says is
// text to the page, never markup. How a decision is shown is in decision.js, which stands before.
(() => {
  const at = (id) => document.getElementById(id);
  const form = at("ask"), question = at("question"), key = at("key"), compare = at("compare");
  const status = at("status"), failure = at("failure"), found = at("found"), decided = at("decision");
  const go = at("go"), stop = at("stop"), file = at("file");
  const largest = 40 * 2 ** 20; // bytes of a picture, which become a third more on their way
  let picture = null, running = null, policy = null;

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
    const given = [...(event.clipboardData?.files || [])];
    const pasted = given.find((each) => each.type.startsWith("image/"));
    if (!pasted) return;
    event.preventDefault();
    take(pasted, pasted.name);
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault(); // else a picture that misses the place opens instead of the page
    at("drop").classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) at("drop").classList.remove("over"); // it has left the page
  });
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
        if (!line.startsWith("data: ")) continue; // a sign of life
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
  const ended = (reason, took) => `Ended by ${reason}, ${took?.toFixed(0) ?? "–"} ms.`;
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
      const answer = await fetch("ready");
      const now = answer.ok ? await answer.json() : null;
      at("state").textContent = now ? `${now.status}, ${now.under_way} under way` : "not ready";
    } catch {
      at("state").textContent = "cannot be reached";
    }
  };

  // --- what was decided

  const holds = async (digest) => {
    if (policy?.digest !== digest) {
      const answer = await fetch("v1/guardrail/policy", { headers: headers() });
      policy = answer.ok ? await answer.json() : null;
    }
    // Another one holds by now: these are not the thresholds that decided.
    return policy?.digest === digest ? policy : { categories: [], watch: null };
  };

  const decision = async (record, measured) => {
    const action = at("action");
    action.textContent = record.action;
    action.className = `badge ${record.action}`;
    action.hidden = false;
    const { categories, watch } = await holds(record.policy.digest);
    const limits = new Map(categories.map((each) => [each.id, each]));
    decided.replaceChildren(...partsOf(record, limits, watch, measured));
    decided.hidden = false;
  };

  form.hidden = false;
  state();
})();
