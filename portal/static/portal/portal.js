/* Theme, ages and keys; merge.js has what happens to answers. Every page works without this file, only less quickly. */
(() => {
  "use strict";
  const root = document.documentElement;

  // The theme: same key and words as the admin's own switch, so that both follow one choice.
  const THEMES = ["auto", "light", "dark"];
  const remembered = () => { try { return localStorage.getItem("theme") || "auto"; } catch { return "auto"; } };
  const showTheme = (theme) => {
    root.dataset.theme = theme;
    document.querySelectorAll("[data-theme-switch]").forEach((button) => {
      button.hidden = false;
      button.querySelector("span").textContent = theme;
    });
  };
  root.dataset.theme = remembered();
  root.classList.add("scripted");

  // Ages, in the words of templatetags/formatting.py.
  const age = (seconds) => {
    for (const [size, unit] of [[86400, "day"], [3600, "h"], [60, "min"], [1, "s"]]) {
      const count = Math.floor(seconds / size);
      if (count > 0) return `${count} ${unit}${unit === "day" && count > 1 ? "s" : ""} ago`;
    }
    return "just now";
  };
  const tellAges = () => document.querySelectorAll("time[data-age]").forEach((time) => {
    const words = age((Date.now() - Date.parse(time.dateTime)) / 1000);
    if (time.textContent !== words) time.textContent = words;
  });

  const isTyping = (element) => element && element.matches("textarea, select, input:not([type=hidden], [type=submit])");
  const logs = new Map(); // log id -> distance from its end, so that a reader is not moved
  const placeLogs = () => document.querySelectorAll("[data-log]").forEach((log) => {
    const place = logs.get(log.id);
    log.scrollTop = place === undefined ? log.scrollHeight : place;
  });
  document.addEventListener("scroll", (event) => {
    const log = event.target;
    if (!(log instanceof Element) || !log.matches("[data-log]")) return;
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 8;
    if (atEnd) logs.delete(log.id); else logs.set(log.id, log.scrollTop);
  }, true);

  document.addEventListener("htmx:afterRequest", () => { placeLogs(); tellAges(); });
  // Polling rests while nobody looks, and goes on at once when somebody does.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden && event.target.matches("[data-poll], [data-log-of]")) event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) document.body.dispatchEvent(new CustomEvent("portal:look"));
  });
  const connection = (lost) => { const notice = document.getElementById("connection"); if (notice) notice.hidden = !lost; };
  for (const name of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) document.addEventListener(name, () => connection(true));
  document.addEventListener("htmx:afterOnLoad", () => connection(false));

  // Keys: j and k move along the checklist, x ticks, n opens the note, ? explains.
  const move = (by) => {
    const items = [...document.querySelectorAll("[data-item]")];
    const at = items.indexOf(document.activeElement && document.activeElement.closest("[data-item]"));
    const next = items[at < 0 ? (by > 0 ? 0 : items.length - 1) : Math.min(items.length - 1, Math.max(0, at + by))];
    if (next) { next.focus({ preventScroll: true }); next.scrollIntoView({ block: "nearest" }); }
  };
  const current = () => document.activeElement && document.activeElement.closest("[data-item]");
  const note = (item) => {
    const details = item.querySelector("details.note");
    if (details) details.open = true;
    const field = item.querySelector("[data-note]");
    if (field) field.focus();
  };
  const KEYS = {
    j: () => move(1),
    k: () => move(-1),
    x: () => current()?.querySelector("[data-tick]")?.click(),
    n: () => current() && note(current()),
    "?": () => document.getElementById("help")?.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const ask = event.key === "Escape" && document.querySelector("details.ask[open]");
    if (ask) {
      ask.open = false;
      ask.querySelector("summary").focus({ preventScroll: true });
      return;
    }
    if (isTyping(event.target)) {
      if (event.key !== "Escape") return;
      const item = event.target.closest("[data-item]");
      if (item) item.focus(); else event.target.blur();
      return;
    }
    if (document.querySelector("dialog[open]") || !KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key]();
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-theme-switch]")) {
      const theme = THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length];
      try { localStorage.setItem("theme", theme); } catch { /* the choice then lasts for this page */ }
      showTheme(theme);
    }
    // Browsers older than 2026 do not know what a button commands.
    const button = event.target.closest("button[commandfor]");
    if (button && !("commandForElement" in button)) {
      const dialog = document.getElementById(button.getAttribute("commandfor"));
      if (button.getAttribute("command") === "close") dialog.close(); else dialog.showModal();
    }
    const all = event.target.closest("[data-select-all]");
    if (all) {
      const boxes = [...all.form.elements].filter((one) => one.name === all.dataset.selectAll);
      const on = boxes.some((box) => !box.checked);
      boxes.forEach((box) => { box.checked = on; });
    }
    // One menu of questions at a time.
    const ask = event.target.closest("details.ask");
    document.querySelectorAll("details.ask[open]").forEach((details) => { if (details !== ask) details.open = false; });
  });
  // A form is sent once, however often its button is pressed.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || form.hasAttribute("hx-post")) return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent));

  document.addEventListener("DOMContentLoaded", () => {
    showTheme(root.dataset.theme);
    const wrong = document.querySelector("[aria-invalid=true]");
    const asking = wrong?.closest("dialog[open]");
    if (asking) { asking.close(); asking.showModal(); }
    wrong?.focus();
    if (matchMedia("(max-width: 860px)").matches) { // the navigation is one line there
      const side = document.querySelector(".side"), here = side?.querySelector("[aria-current]");
      if (here) side.scrollLeft = here.offsetLeft - (side.clientWidth - here.offsetWidth) / 2;
    }
    placeLogs();
    tellAges();
    setInterval(tellAges, 5000);
  });
})();
