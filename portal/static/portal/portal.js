/* Theme, ages, keys and careful swaps. Every page works without this file, only less quickly. */
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

  // Regions: a poll may replace their contents. What did not change in substance is left alone; what did keeps
  // open details, focus, half-typed words and the place in a log.
  const shapes = new Map();
  const shapeOf = (element) => {
    const copy = element.cloneNode(true);
    copy.querySelectorAll("input[name=csrfmiddlewaretoken]").forEach((input) => input.remove());
    copy.querySelectorAll("time[data-age]").forEach((time) => time.replaceWith("time"));
    return copy.innerHTML;
  };
  const remember = () => document.querySelectorAll("[data-region]").forEach((region) => shapes.set(region.id, shapeOf(region)));
  const copyTimes = (from, to) => {
    const fresh = from.querySelectorAll("time[data-age]");
    to.querySelectorAll("time[data-age]").forEach((time, index) => {
      if (!fresh[index]) return;
      time.dateTime = fresh[index].dateTime;
      time.title = fresh[index].title;
    });
  };
  const isTyping = (element) => element && element.matches("textarea, select, input:not([type=hidden], [type=submit])");
  const keep = (region) => ({
    open: [...region.querySelectorAll("details[open][id]")].map((details) => details.id),
    typed: [...region.querySelectorAll("input[id], textarea[id]")].filter((field) => field.value !== field.defaultValue).map((field) => [field.id, field.value]),
    focus: region.contains(document.activeElement) ? document.activeElement.id : "",
  });
  const restore = (kept) => {
    kept.open.forEach((id) => { const details = document.getElementById(id); if (details) details.open = true; });
    kept.typed.forEach(([id, value]) => { const field = document.getElementById(id); if (field) field.value = value; });
    const focused = kept.focus && document.getElementById(kept.focus);
    if (focused) focused.focus({ preventScroll: true });
  };
  const kept = new Map();
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

  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const { target, fragment } = event.detail;
    const shape = shapeOf(fragment);
    const typing = target.contains(document.activeElement) && isTyping(document.activeElement);
    if (shape === shapes.get(target.id) || typing) {
      event.detail.shouldSwap = false;
      if (!typing) copyTimes(fragment, target);
      return;
    }
    shapes.set(target.id, shape);
    kept.set(target.id, keep(target));
  });
  document.addEventListener("htmx:oobAfterSwap", (event) => {
    // What a button said is over when the state it brought about has changed.
    if (event.detail.target.id === "now") document.querySelectorAll(".messages .success").forEach((said) => said.remove());
    const was = kept.get(event.detail.target.id);
    if (was) restore(was);
    kept.delete(event.detail.target.id);
  });
  document.addEventListener("htmx:afterSettle", () => { placeLogs(); tellAges(); });
  // A log that did not grow is left alone, so that what is selected in it stays selected.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target, xhr } = event.detail;
    if (!target.matches("[data-log-of]")) return;
    const fresh = new DOMParser().parseFromString(xhr.responseText, "text/html").querySelector("[data-log]");
    const shown = target.querySelector("[data-log]");
    if (fresh && shown && fresh.textContent === shown.textContent) event.detail.shouldSwap = false;
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    placeLogs();
    // A tick swapped one row: its region no longer has the shape that was remembered.
    if (event.detail.requestConfig?.elt.matches("form")) shapes.delete(event.target.closest("[data-region]")?.id);
  });

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
    remember();
    placeLogs();
    tellAges();
    setInterval(tellAges, 5000);
  });
})();
