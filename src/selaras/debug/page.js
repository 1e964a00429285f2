"use strict";
// The page of prompt debugging. Every figure is made from the stored log-probabilities in #data by
// the library's own formulas (target.py, leave_one_out.py, surrogate.py, faithfulness.py); text goes
// into the page as text nodes only.
const DATA = JSON.parse(document.getElementById("data").textContent);
const METHODS = { surrogate: "surrogate", "leave-one-out": "leave-one-out", gradient: "gradient (preview)" };
const state = { unit: DATA.unit, method: "surrogate", contrast: DATA.panels[0].against.length > 0, job: null, pattern: DATA.regex || "", asking: false };
const panels = DATA.panels.map(opened);

// Offsets count code points, as the library's do; a string of JavaScript is indexed by UTF-16 units.
function opened(panel, id) {
  const points = { prompt: Array.from(panel.text), said: Array.from(panel.response.text) };
  return { ...panel, points, id, chosen: new Set(panel.chosen), at: panel.chosen[0] || 0, from: null };
}
const span = (points, start, end) => points.slice(start, end).join("");
// Spans with those that touch or overlap as one; tokens that spell one character have the same.
function joined(spans) {
  const found = [];
  for (const [a, b] of spans) {
    const last = found[found.length - 1];
    if (last && a <= last[1]) last[1] = Math.max(last[1], b); else found.push([a, b]);
  }
  return found;
}
function targetOf(panel) {
  const spans = joined([...panel.chosen].sort((a, b) => a - b).map((t) => panel.response.tokens[t]));
  const text = spans.map(([a, b]) => span(panel.points.said, a, b)).join(" … ");
  return { text, start: Math.min(...spans.map((s) => s[0])), end: Math.max(...spans.map((s) => s[1])), spans };
}
// What nobody would see (control characters, changes of direction, blanks of no width, tags) is
// named; joiners stay, which emoji and many scripts are written with.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;
const visible = (text) => text.replace(HIDDEN, (c) => `[U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}]`);

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}
const sum = (values) => values.reduce((a, b) => a + b, 0);
const nats = (value) => value.toFixed(Math.abs(value) < 9.95 ? 1 : 0);
const say = (text) => { document.getElementById("status").textContent = text; };

// f of each stored row: log p(target), less log-sum-exp of the contrast responses.
function objective(panel, unit) {
  const chosen = [...panel.chosen];
  const others = state.contrast ? unit.others : [];
  return unit.logp.map((row, r) => {
    const own = sum(chosen.map((t) => row[t]));
    if (!others.length) return own;
    const most = Math.max(...others.map((each) => each[r]));
    return own - (most + Math.log(sum(others.map((each) => Math.exp(each[r] - most)))));
  });
}
function logit(values, contrast) {
  if (contrast) return values;
  return values.map((f) => { const held = Math.min(f, -1e-9); return held - Math.log(-Math.expm1(held)); });
}
function surrogate(unit, outcome) {
  if (!unit.solve) return null;
  const mean = sum(outcome) / outcome.length;
  return unit.solve.map((row, k) => {
    const weight = sum(row.map((value, r) => value * (outcome[r] - mean)));
    return Math.abs(weight) * unit.spread[k] <= unit.alpha ? 0 : weight;
  });
}
function ranks(values) {
  const order = values.map((v, i) => [v, i]).sort((a, b) => a[0] - b[0]);
  const found = new Array(values.length);
  for (let i = 0; i < order.length;) {
    let j = i;
    while (j + 1 < order.length && order[j + 1][0] === order[i][0]) j += 1;
    for (let k = i; k <= j; k += 1) found[order[k][1]] = (i + j) / 2;
    i = j + 1;
  }
  return found;
}
function spearman(a, b) {
  if (a.length < 4) return null;
  const [x, y] = [ranks(a), ranks(b)];
  const [mx, my] = [sum(x) / x.length, sum(y) / y.length];
  const [sx, sy] = [sum(x.map((v) => (v - mx) ** 2)), sum(y.map((v) => (v - my) ** 2))];
  return sx && sy ? sum(x.map((v, i) => (v - mx) * (y[i] - my))) / Math.sqrt(sx * sy) : 0;
}
// The map of a panel for the present target, unit and method: scores by segment number, and its badge.
function mapOf(panel) {
  const unit = panel.units[state.unit];
  const index = unit.segments.map((s, i) => (s.ablatable ? i : -1)).filter((i) => i >= 0);
  if (!panel.chosen.size) return { index, scores: null, note: "choose a part of the response" };
  if (state.method !== "gradient" && unit.logp) {
    const f = objective(panel, unit), count = index.length;
    const drops = index.map((_, k) => f[0] - f[1 + k]);
    const outcome = logit(f.slice(1 + count), state.contrast && unit.others.length);
    const fitted = surrogate(unit, outcome.slice(0, unit.design));
    const scores = state.method === "surrogate" && fitted ? fitted : drops;
    const name = state.method === "surrogate" && fitted ? "surrogate" : "leave-one-out";
    return { index, scores, drops, name, ...badge(unit, index, scores, outcome.slice(unit.design)) };
  }
  const same = panel.gradient && panel.gradient.chosen.length === panel.chosen.size
    && panel.gradient.chosen.every((t) => panel.chosen.has(t));
  if (same) {
    const scores = index.map((i) => sum(unit.segments[i].tokens.map((t) => panel.gradient.l2[t])));
    return { index, scores, drops: null, name: "gradient", note: "preview by gradient: not verified by ablation" };
  }
  const how = DATA.live ? "press Verify" : "for other targets and units: selaras debug … --serve";
  return { index, scores: null, note: `nothing was run for this unit and target; ${how}` };
}
function badge(unit, index, scores, outcome) {
  const predict = (w) => unit.held.map((row) => sum(w.map((v, k) => (row[k] === "1" ? v : 0))));
  const lds = spearman(predict(scores), outcome);
  if (lds === null) return { note: "too few segments for an LDS", grey: true };
  const base = [index.map((i) => unit.segments[i].tokens.length), index.map((_, k) => k)];
  const best = Math.max(...base.map((w) => spearman(predict(w), outcome)));
  const told = `LDS ${lds.toFixed(2)} on ${outcome.length} unseen ablations (length or recency: ${best.toFixed(2)})`;
  return lds > best ? { note: told, lds } : { note: `no better than the baselines: ${told}`, lds, grey: true };
}
function costs(drop) {
  const factor = Math.exp(Math.min(Math.abs(drop), 40));
  const shown = factor >= 100 ? factor.toExponential(0) : factor.toPrecision(2);
  return drop >= 0 ? `deleting this costs ${nats(drop)} nats (p / ${shown})`
    : `deleting this gains ${nats(-drop)} nats (p × ${shown})`;
}
function draw() {
  const maps = panels.map(mapOf);
  // One scale for all panels; a gradient's norm is no nat and has its own.
  const scale = Math.max(1e-9, ...maps.flatMap((m) => (m.scores || []).map(Math.abs)));
  panels.forEach((panel, i) => drawPanel(panel, maps[i], scale));
  const home = document.getElementById("tables");
  home.replaceChildren(home.querySelector("h2"), ...panels.map((panel, i) => tableOf(panel, maps[i])));
  drawTools();
}
function drawPanel(panel, map, scale) {
  const home = document.getElementById(`panel-${panel.id}`);
  const kept = document.activeElement && document.activeElement.dataset.t;
  const inside = home.contains(document.activeElement);
  const unit = panel.units[state.unit];
  const total = map.scores ? sum(map.scores.map(Math.abs)) || 1 : 1;
  const by = {};
  map.index.forEach((i, k) => { if (map.scores) by[unit.segments[i].origin] = (by[unit.segments[i].origin] || 0) + Math.abs(map.scores[k]) / total; });
  const own = sum(unit.segments.filter((s) => !s.ablatable).map((s) => s.tokens.length));
  const share = Object.entries(by).map(([origin, part]) => `${origin} ${Math.round(100 * part)} %`).join(", ");
  home.replaceChildren(...[
    make("h2", {}, panel.title),
    make("p", { class: `badge${map.grey ? " grey" : ""}`, "data-lds": map.lds ?? null }, [panel.model, map.name, map.note].filter(Boolean).join(" · ")),
    panel.note ? make("p", { class: "share" }, panel.note) : null,
    make("p", { class: "share" }, `${share ? `share of the scores: ${share}; ` : ""}template tokens, never deleted: ${own} of ${panel.tokens.length}`),
    prompt(panel, map, scale), response(panel), editor(panel)].filter(Boolean));
  if (inside && kept !== undefined) focusToken(panel, Number(kept));
}
function prompt(panel, map, scale) {
  const unit = panel.units[state.unit];
  const box = make("div", { class: `prompt${map.grey ? " grey" : ""}`, role: "list", "aria-label": "The prompt, by segments" });
  let block = null, kind = null;
  unit.segments.forEach((segment, i) => {
    const text = visible(span(panel.points.prompt, segment.start, segment.end));
    if (!segment.ablatable && !segment.tokens.length) return;
    const next = segment.ablatable ? `${segment.role} ${segment.message}` : "template";
    if (next !== kind) {
      block = make("div", { class: `block role-${segment.role}`, role: "presentation" });
      block.append(make("span", { class: "who" }, segment.origin === "silent" ? "system, written by the template" : segment.role));
      box.append(block); kind = next;
    }
    if (!segment.ablatable) { block.append(make("span", { class: "template" }, text)); return; }
    const k = map.index.indexOf(i), score = map.scores ? map.scores[k] : 0;
    const told = map.drops ? costs(map.drops[k]) : map.scores ? "not verified: a preview by gradient" : "not run";
    const where = segment.name ? `${segment.origin} ${segment.name}` : segment.origin;
    block.append(make("span", {
      class: `segment origin-${segment.origin}`, role: "listitem", tabindex: "0", title: told, "data-k": k,
      "data-score": map.scores ? score.toFixed(4) : null, style: shade(score / scale), dir: "auto",
      "aria-label": `${text.trim()} (${where}; ${map.scores ? `score ${score.toFixed(2)}, ` : ""}${told})`,
      onmouseenter: () => say(`${where}: ${told}${map.scores ? `; score ${score.toFixed(2)}` : ""}`),
      onfocus: () => say(`${where}: ${told}${map.scores ? `; score ${score.toFixed(2)}` : ""}`),
    }, text));
  });
  return box;
}
function tableOf(panel, map) {
  if (!map.scores) return make("p", {}, `${panel.title}: ${map.note}`);
  const unit = panel.units[state.unit];
  const rows = map.index.map((i, k) => [unit.segments[i], map.scores[k]]).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  const caption = `${panel.title}: ${map.name} for “${visible(targetOf(panel).text)}”; ${map.note}`;
  const line = ([segment, score]) => make("tr", {}, make("th", { scope: "row" }, score.toFixed(2)), make("td", {}, segment.origin),
    make("td", { dir: "auto" }, visible(span(panel.points.prompt, segment.start, segment.end).trim()).slice(0, 300)));
  const heads = [map.name === "gradient" ? "norm" : "nats", "origin", "segment"].map((name) => make("th", { scope: "col" }, name));
  return make("div", { class: "table", role: "group", "aria-label": caption, tabindex: "0" }, make("table", {},
    make("caption", {}, make("div", {}, caption)), make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows.map(line))));
}
function shade(part) {
  const strength = Math.min(1, Math.abs(part));
  if (strength < 0.04) return null;
  return `--strength: ${Math.round(100 * strength)}%; --hue: var(--${part > 0 ? "warm" : "cool"})`;
}
function response(panel) {
  const box = make("div", { class: "response", role: "listbox", "aria-multiselectable": "true", "aria-label": "The response: choose the target. Arrows move, space chooses, shift and arrows extend, control keeps what was chosen." });
  panel.response.tokens.forEach(([start, end], t) => {
    const next = panel.response.tokens[t + 1];
    const text = visible(span(panel.points.said, start, next ? Math.max(next[0], start) : panel.points.said.length));
    if (!text) return; // a further token of one character
    box.append(make("span", {
      class: "token", role: "option", "data-t": t, tabindex: t === panel.at ? "0" : "-1", dir: "auto",
      "aria-selected": panel.chosen.has(t) ? "true" : "false", title: `log p ${panel.response.logp[t].toFixed(2)}`,
      onmousedown: (event) => { event.preventDefault(); begin(panel, t, event); },
      onmouseenter: (event) => { if (panel.from !== null && event.buttons) extend(panel, t); },
    }, text));
  });
  box.addEventListener("keydown", (event) => keyed(panel, event));
  const parts = [make("h3", {}, "The response"), box];
  if (panel.against.length) parts.push(make("p", { class: "against" }, `and not: ${visible(panel.against.join(" | "))}`));
  parts.push(make("p", { class: "value" }, `log p of the target: ${sum([...panel.chosen].map((t) => panel.response.logp[t])).toFixed(2)} nats over ${panel.chosen.size} tokens`));
  return make("div", { class: "said" }, ...parts);
}
function whole(panel, t) { // all tokens that spell the same characters
  const own = panel.response.tokens[t];
  return panel.response.tokens.map((other, i) => (other[0] < own[1] && own[0] < other[1] ? i : -1)).filter((i) => i >= 0);
}
function begin(panel, t, event) {
  const add = event.ctrlKey || event.metaKey;
  if (event.shiftKey) { panel.from = panel.at; panel.base = new Set(); extend(panel, t); return; }
  panel.from = t;
  panel.base = add ? new Set(panel.chosen) : new Set();
  if (add && panel.chosen.has(t)) { whole(panel, t).forEach((i) => panel.base.delete(i)); panel.chosen = new Set(panel.base); panel.from = null; retarget(panel, t); return; }
  extend(panel, t);
}
function extend(panel, t) {
  panel.chosen = new Set(panel.base);
  for (let i = Math.min(panel.from, t); i <= Math.max(panel.from, t); i += 1) whole(panel, i).forEach((j) => panel.chosen.add(j));
  retarget(panel, t);
}
function keyed(panel, event) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const last = panel.response.tokens.length - 1;
  if (step) {
    const to = Math.max(0, Math.min(last, panel.at + step));
    if (event.shiftKey) { panel.from = panel.from ?? panel.at; panel.base = event.ctrlKey ? new Set(panel.chosen) : panel.base || new Set(); extend(panel, to); } else { panel.from = null; panel.at = to; focusToken(panel, to); }
  } else if (event.key === " " || event.key === "Enter") {
    const had = panel.chosen.has(panel.at);
    whole(panel, panel.at).forEach((i) => (had ? panel.chosen.delete(i) : panel.chosen.add(i)));
    panel.from = null; retarget(panel, panel.at);
  } else if (event.key === "Escape") {
    panel.chosen = new Set(panel.response.tokens.keys()); panel.from = null; retarget(panel, panel.at);
  } else return;
  event.preventDefault();
}
function focusToken(panel, t) {
  const home = document.getElementById(`panel-${panel.id}`);
  home.querySelectorAll(".token").forEach((node) => node.setAttribute("tabindex", Number(node.dataset.t) === t ? "0" : "-1"));
  const node = home.querySelector(`.token[data-t="${t}"]`);
  if (node) node.focus();
}
function retarget(panel, t) { panel.at = t; draw(); focusToken(panel, t); preview(panel); }
document.addEventListener("mouseup", () => panels.forEach((panel) => { panel.from = null; }));

function drawTools() {
  const option = (name, label, now) => make("option", { value: name, selected: name === now }, label);
  const choose = (label, id, names, now, change) => make("label", {}, `${label} `, make("select", { id, onchange: change }, ...Object.entries(names).map(([n, l]) => option(n, l, now))));
  const units = Object.fromEntries(Object.keys(panels[0].units).map((u) => [u, panels[0].units[u].logp ? `${u} (verified)` : u]));
  if (DATA.live) units.regex = units.regex || "regex";
  const unit = state.asking ? "regex" : state.unit;
  const contrast = panels.some((p) => p.against.length);
  const bar = document.getElementById("tools"), focused = document.activeElement && document.activeElement.id;
  bar.replaceChildren(...[
    choose("Unit", "unit", units, unit, (e) => { state.asking = !panels[0].units[e.target.value]; if (!state.asking) state.unit = e.target.value; draw(); panels.forEach(preview); }),
    DATA.live && unit === "regex" ? make("label", {}, "begin at every match of ", make("input", { id: "regex", value: state.pattern, spellcheck: "false", autocapitalize: "off", onchange: (e) => cutBy(e.target.value) })) : null,
    choose("Method", "method", METHODS, state.method, (e) => { state.method = e.target.value; draw(); panels.forEach(preview); }),
    contrast ? make("label", {}, make("input", { type: "checkbox", id: "contrast", checked: state.contrast, onchange: (e) => { state.contrast = e.target.checked; draw(); panels.forEach(preview); } }), " against the contrast") : null,
    DATA.live ? make("button", { id: "verify", disabled: state.job !== null, onclick: verify }, "Verify by ablation") : null,
    state.job ? make("button", { id: "cancel", onclick: cancel }, "Cancel") : null,
    state.job ? make("progress", { id: "progress", max: "1", value: String(state.job.share), "aria-label": "ablations" }) : null,
    make("button", { id: "export", onclick: exportJson }, "Export JSON"),
    make("span", { class: "scale", "aria-label": "colour scale, the same in all panels" }, "− ", ...[-1, -0.5, 0, 0.5, 1].map((v) => make("span", { class: "segment swatch", style: shade(v) }, "\u2003")), " +")].filter(Boolean));
  if (focused && document.getElementById(focused)) document.getElementById(focused).focus();
}
function exportJson() {
  const found = panels.map((panel) => {
    const map = mapOf(panel), unit = panel.units[state.unit];
    return { model: panel.model, method: map.name || null, unit: state.unit,
      target: targetOf(panel),
      segments: map.index.map((i, k) => ({ role: unit.segments[i].role, origin: unit.segments[i].origin, text: span(panel.points.prompt, unit.segments[i].start, unit.segments[i].end), start: unit.segments[i].start, end: unit.segments[i].end, score: map.scores ? map.scores[k] : null })),
      faithfulness: { lds: map.lds ?? null } };
  });
  const url = URL.createObjectURL(new Blob([JSON.stringify(found, null, 2)], { type: "application/json" }));
  const link = make("a", { href: url, download: "attribution.json" });
  document.body.append(link); link.click(); link.remove(); URL.revokeObjectURL(url);
}

// --- live: the server that the page came from ------------------------------------------------------
async function ask(path, body) {
  const sent = body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(path, sent);
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error || answer.statusText);
  return value;
}
async function preview(panel) {
  const unit = panel.units[state.unit];
  if (!DATA.live || !panel.chosen.size || (state.method !== "gradient" && unit.logp)) return;
  const wanted = [...panel.chosen].sort((a, b) => a - b);
  try {
    const found = await ask("/api/gradient", { panel: panel.id, chosen: wanted, contrast: state.contrast });
    if (wanted.length === panel.chosen.size && wanted.every((t) => panel.chosen.has(t))) { panel.gradient = found; draw(); }
  } catch (error) { say(error.message); }
}
async function verify() {
  try {
    for (const panel of panels) {
      const { job } = await ask("/api/verify", { panel: panel.id, unit: state.unit });
      state.job = { id: job, share: 0 }; draw();
      for (;;) {
        const now = await ask(`/api/job/${job}`);
        if (now.state === "running") { state.job.share = now.share; const bar = document.getElementById("progress"); if (bar) bar.value = now.share; say(`ablations: ${Math.round(100 * now.share)} %`); await new Promise((go) => { setTimeout(go, 120); }); continue; }
        if (now.state === "done") { panel.units[state.unit] = now.unit; say("verified by ablation"); } else say(now.error || "cancelled; what was run is kept");
        if (now.state !== "done") { state.job = null; draw(); return; }
        break;
      }
    }
  } catch (error) { say(error.message); }
  if (state.method === "gradient") state.method = "surrogate";
  state.job = null; draw();
}
async function cutBy(pattern) {
  try {
    const { units } = await ask("/api/cut", { regex: pattern });
    units.forEach((unit, i) => { panels[i].units.regex = unit; });
    Object.assign(state, { unit: "regex", pattern, asking: false });
    draw(); panels.forEach(preview); say(`cut at every match of ${pattern}`);
  } catch (error) { say(error.message); }
}
async function cancel() { if (state.job) await ask("/api/cancel", { job: state.job.id }); }
function editor(panel) {
  if (!DATA.live) return null;
  const system = make("textarea", { rows: "5", id: `system-${panel.id}` });
  system.value = panel.system || "";
  const against = make("input", { id: `against-${panel.id}` });
  against.value = panel.against.join(" | ");
  const open = async (as) => {
    try {
      say("reading the prompt");
      const made = await ask("/api/open", { panel: panel.id, as, system: system.value, against: against.value.split("|").map((t) => t.trim()).filter(Boolean) });
      const next = { ...opened(made, as), at: 0 };
      panels[as] = next;
      if (next.against.length) state.contrast = true;
      homes(); draw(); preview(next); say("ready");
    } catch (error) { say(error.message); }
  };
  const same = panel.id === 0;
  return make("details", { class: "editor" }, make("summary", {}, "Change the prompt or the contrast"),
    make("label", { for: system.id }, "System message"), system,
    make("label", { for: against.id }, "Contrast: why not this? (several: |)"), against,
    make("p", {}, make("button", { onclick: () => open(panel.id) }, "Read again"), " ",
      same ? make("button", { id: "beside", onclick: () => open(1) }, "Open beside it (A/B)") : null));
}
function homes() {
  document.getElementById("panels").replaceChildren(...panels.map((p) => make("section", { id: `panel-${p.id}`, class: "panel", "aria-label": p.title })));
}
homes();
draw();
panels.forEach(preview);
