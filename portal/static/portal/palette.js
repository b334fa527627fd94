/* The palette: Ctrl+K opens it, arrows choose, Enter opens what is chosen. */
(() => {
  "use strict";
  const dialog = () => document.getElementById("palette");
  const field = () => document.getElementById("palette-q");
  const options = () => [...document.querySelectorAll("#palette-found [data-href]")];
  const choose = (chosen) => {
    options().forEach((one) => one.setAttribute("aria-selected", String(one === chosen)));
    if (chosen) { field().setAttribute("aria-activedescendant", chosen.id); chosen.scrollIntoView({ block: "nearest" }); }
    else field().removeAttribute("aria-activedescendant");
  };
  const open = () => {
    if (dialog().open) return;
    dialog().showModal();
    field().select();
    htmx.trigger(field(), "portal:palette");
  };
  document.addEventListener("keydown", (event) => {
    if (!dialog()) return;
    if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      open();
      return;
    }
    if (event.target !== field()) return;
    const all = options();
    const at = all.findIndex((one) => one.getAttribute("aria-selected") === "true");
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      choose(all[(at + (event.key === "ArrowDown" ? 1 : all.length - 1)) % all.length]);
    } else if (event.key === "Enter" && at >= 0) {
      event.preventDefault();
      location.assign(all[at].dataset.href);
    }
  });
  document.addEventListener("htmx:afterSwap", (event) => { if (event.target.id === "palette-found") choose(options()[0]); });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-palette]");
    if (link && dialog()) { event.preventDefault(); open(); }
    const option = event.target.closest("#palette-found [data-href]");
    if (option) location.assign(option.dataset.href);
    if (event.target === dialog()) dialog().close(); // beside it
  });
})();
