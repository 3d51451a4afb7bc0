// A decision's page: the slider moves its number field.
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
