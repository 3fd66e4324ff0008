// Keys: j and k walk the list or the records, "/" goes to the filter, u goes back to the list.
"use strict";
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea, [contenteditable]")) return;
  const go = (id) => document.getElementById(id)?.click();
  const links = [...document.querySelectorAll(".decisions tbody a")];
  const walk = (by) => {
    if (!links.length) return go(by > 0 ? "older" : "newer");
    const at = links.indexOf(document.activeElement);
    const next = at < 0 ? 0 : Math.min(Math.max(at + by, 0), links.length - 1);
    links[next].focus();
  };
  if (event.key === "j") walk(1);
  else if (event.key === "k") walk(-1);
  else if (event.key === "u") go("up");
  else if (event.key === "/") document.getElementById("filter")?.focus();
  else return;
  event.preventDefault();
});
