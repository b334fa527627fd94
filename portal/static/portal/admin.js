// What Django's admin leaves out for people who do not see or use a mouse: names and a way in.
"use strict";

function nameParts() {
  document.querySelectorAll(".help-tooltip[aria-label]").forEach((icon) => icon.setAttribute("role", "img"));
  document.getElementById("searchbar")?.setAttribute("aria-label", "Search");
  document.querySelectorAll(".wrapper, .results").forEach((box) => {
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", "Rows");
  });
}

// Django's own scripts make their widgets when the page has loaded.
addEventListener("load", () => setTimeout(nameParts));
