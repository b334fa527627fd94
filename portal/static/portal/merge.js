/* What the server answers is merged into the page: an element that did not change stays the same
   element, with its focus, caret and open details, and what a person typed is never replaced. */
(() => {
  "use strict";
  const FIELDS = "textarea, select, input:not([type=hidden], [type=submit], [type=button])";
  // What belongs together: when a field in it has to stay and the answer lacks it, all of it stays.
  const UNITS = "[data-item], form, details.ask, details.note, details.edit, dialog";
  const sent = new WeakMap(); // field → the text that is on its way to the server

  const isDirty = (field) => {
    if (field.matches("[type=checkbox], [type=radio]")) return field.checked !== field.defaultChecked;
    if (field.matches("select")) {
      const options = [...field.options];
      const preset = options.some((option) => option.defaultSelected);
      return preset ? options.some((option) => option.selected !== option.defaultSelected) : field.selectedIndex > 0;
    }
    return field.value !== field.defaultValue;
  };
  // What the server refused is still the person's: it is filled in, so that it is not dirty.
  const isUnsent = (field) => (isDirty(field) || field.ariaInvalid === "true") && sent.get(field) !== field.value;
  const held = (element, answered) => [element, ...element.querySelectorAll(FIELDS)].filter((field) =>
    field.matches(FIELDS) && (isUnsent(field) || (!answered && field === document.activeElement)));
  const lacks = (fresh, field) => !field.id || !(fresh.id === field.id || fresh.querySelector(`#${CSS.escape(field.id)}`));

  const copyAttributes = (from, to) => {
    [...to.attributes].forEach(({ name }) => { if (!from.hasAttribute(name)) to.removeAttribute(name); });
    [...from.attributes].forEach(({ name, value }) => { if (to.getAttribute(name) !== value) to.setAttribute(name, value); });
  };
  const callbacks = (answered) => ({
    beforeNodeMorphed(old, fresh) {
      if (!(old instanceof Element)) return true;
      if (old.matches("time[data-age]")) { copyAttributes(fresh, old); return false; } // its words are told by portal.js
      if (old.matches("[data-log-of]") && old.dataset.logOf === fresh.dataset.logOf) { copyAttributes(fresh, old); return false; }
      if (old.matches(FIELDS)) return !(isDirty(old) || held(old, answered).length);
      const stays = old.matches(UNITS) && held(old, answered).some((field) => lacks(fresh, field));
      if (stays) old.dataset.changedMeanwhile = "";
      return !stays;
    },
    beforeNodeRemoved: (old) => !(old instanceof Element && (old.matches("dialog[open], .wrong") || held(old, answered).length)),
    // Whether details are open, and that a form was sent, is known here and not to the server.
    beforeAttributeUpdated: (name, element) => !(name === "data-sent" || (name === "open" && element.matches("details, dialog"))),
  });

  /* Merge `content` into `target`; `answered` tells that it is the answer to a form in `target`,
     whose text has therefore arrived. */
  const merge = (target, content, morphStyle, answered = false) => {
    const focused = target.contains(document.activeElement) ? document.activeElement : null;
    const around = focused?.closest("[data-item]")?.id;
    Idiomorph.morph(target, content, { morphStyle, callbacks: callbacks(answered) });
    if (focused && !focused.isConnected && document.activeElement === document.body) {
      const next = document.getElementById(focused.id || around) || document.getElementById(around) || document.getElementById("main");
      next?.focus({ preventScroll: true });
    }
    htmx.process(target);
  };

  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const { target, fragment } = event.detail;
    event.detail.shouldSwap = false;
    const headline = target.querySelector("strong")?.textContent;
    merge(target, fragment.childNodes, "innerHTML");
    // What a button said is over when the state it brought about has changed.
    if (target.id === "now" && target.querySelector("strong")?.textContent !== headline) {
      document.querySelectorAll(".messages .success").forEach((said) => said.remove());
    }
  });

  // A poll that was sent before a form was answered may tell of the time before: it is dropped.
  let answers = 0;
  const underway = new Set(); // requests of forms
  const asked = new WeakMap(); // request of a poll → answers that had arrived when it was sent
  const isForm = (event) => event.detail.requestConfig?.elt.matches("form");
  const fieldsOf = (event) => [...event.detail.requestConfig.elt.elements].filter((field) => field.matches(FIELDS));
  const answered = (event) => { if (underway.delete(event.detail.xhr)) answers += 1; };
  document.addEventListener("htmx:beforeSend", (event) => {
    if (!isForm(event)) { asked.set(event.detail.xhr, answers); return; }
    underway.add(event.detail.xhr);
    fieldsOf(event).forEach((field) => sent.set(field, field.value));
  });
  document.addEventListener("htmx:beforeOnLoad", answered);
  document.addEventListener("htmx:afterRequest", (event) => {
    answered(event);
    if (isForm(event)) fieldsOf(event).forEach((field) => sent.delete(field));
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target, xhr } = event.detail;
    if (!isForm(event)) {
      if (event.target.matches("[data-poll]") && (underway.size || asked.get(xhr) !== answers)) event.detail.shouldSwap = false;
      return;
    }
    if (!event.detail.shouldSwap || !target.matches("[data-item]")) return;
    event.detail.shouldSwap = false;
    // The poll may have put a fresh row in the place of the one that was answered.
    const row = target.isConnected ? target : document.getElementById(target.id);
    if (row) merge(row, xhr.responseText.trim(), "outerHTML", true);
  });

  // A log that did not grow is left alone, so that what is selected in it stays selected.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target, xhr } = event.detail;
    if (!target.matches("[data-log-of]")) return;
    const fresh = new DOMParser().parseFromString(xhr.responseText, "text/html").querySelector("[data-log]");
    const shown = target.querySelector("[data-log]");
    if (fresh && shown && fresh.textContent === shown.textContent) event.detail.shouldSwap = false;
  });
})();
