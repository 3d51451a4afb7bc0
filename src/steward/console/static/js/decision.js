// A decision's page: the slider moves its number field, [ and ] go to the decision before and after.
import "./copying.js";

function arm(root) {
  for (const slider of root.querySelectorAll("[data-moves]")) {
    const field = document.getElementById(slider.dataset.moves);
    if (!field || !slider.hidden) continue;
    slider.hidden = false;
    slider.addEventListener("input", () => { field.value = slider.value; });
    field.addEventListener("input", () => { slider.value = field.value; });
  }
}

arm(document);
document.addEventListener("htmx:after:swap", () => arm(document));

addEventListener("keydown", event => {
  if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey) return;
  if (document.documentElement.dataset.keys === "off" || event.target.matches?.("input, textarea, select")) return;
  const id = {"[": "older", "]": "newer"}[event.key];
  if (id) document.getElementById(id)?.click();
});
