// What a page without a script cannot do: keys, autosave, the time in front of the page, and
// sending again when the server was away. Everything else works without this file.
"use strict";
(() => {
  const form = document.getElementById("vote");
  const status = document.getElementById("status");

  document.addEventListener("keydown", (event) => {
    const field = event.target.closest("textarea, select, input:not([type=checkbox])");
    if (event.key === "Escape" && field) { field.blur(); event.preventDefault(); return; }
    if (field || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const key = event.key.toLowerCase();
    if (key === "n" && form) { form.elements.note.focus(); event.preventDefault(); return; }
    if (key === "i") {
      const panel = document.querySelector("#instructions > summary");
      if (panel) { panel.focus(); panel.scrollIntoView({ block: "nearest" }); event.preventDefault(); }
      return;
    }
    if (!/^[a-z0-9]$/.test(key)) return;
    const target = document.querySelector(`[data-key="${key}"]`);
    if (!target) return;
    event.preventDefault();
    target.click();
    if (target.name && target.name.startsWith("flag_") && target.checked) {
      form.elements["reason_" + target.name.slice(-1)].focus();
    }
  });

  if (!form) return;

  const reveal = document.getElementById("reveal");
  if (reveal) {
    try {
      if (sessionStorage.getItem("reveal") === "1") reveal.checked = true;
      reveal.addEventListener("change", () => sessionStorage.setItem("reveal", reveal.checked ? "1" : ""));
    } catch (error) { /* storage may be switched off */ }
  }
  const panel = document.getElementById("instructions");
  if (panel && matchMedia("(max-width: 60rem)").matches) panel.open = false;

  let active = 0;
  let since = document.hidden ? null : performance.now();
  const soFar = () => active + (since === null ? 0 : performance.now() - since);
  document.addEventListener("visibilitychange", () => {
    active = soFar();
    since = document.hidden ? null : performance.now();
  });

  const encoded = (submitter) => {
    form.elements.active.value = (soFar() / 1000).toFixed(1);
    const data = new URLSearchParams(new FormData(form));
    if (submitter) data.set(submitter.name, submitter.value);
    return data;
  };

  let waiting = null;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      fetch(form.dataset.draft, { method: "POST", body: encoded(null) }).catch(() => {});
    }, 600);
  });

  const say = (text, kind) => {
    const line = document.createElement("p");
    line.className = kind;
    line.textContent = text;
    status.replaceChildren(line);
  };

  let sending = false;
  const send = async (data) => {
    try {
      const answer = await fetch(form.action, {
        method: "POST", body: data, headers: { Accept: "application/json" },
      });
      if (answer.status === 503 || answer.status === 429) throw new Error("later");
      if (answer.status === 401) { location.assign("/rate"); return; }
      const said = await answer.json();
      if (said.next) { location.assign(said.next); return; }
      say(said.message, "warning");
      sending = false;
    } catch (error) {
      say(status.dataset.lost, "warning lost");
      setTimeout(() => send(data), 1500);
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (sending) return;
    sending = true;
    clearTimeout(waiting);
    send(encoded(event.submitter));
  });
})();
