// After a part of the page was exchanged: keeps the focus where it was, and says what a request could not do.
import { toast } from "./toast.js";

let last = null;

const placeOf = (element) => {
  if (!element || element === document.body) return null;
  if (element.id) return `#${CSS.escape(element.id)}`;
  const name = element.getAttribute("name");
  const around = element.closest("[id]");
  return name && around ? `#${CSS.escape(around.id)} [name="${CSS.escape(name)}"]` : around && `#${CSS.escape(around.id)}`;
};

document.addEventListener("htmx:before:swap", () => {
  last = placeOf(document.activeElement);
});

document.addEventListener("htmx:after:swap", () => {
  for (const each of document.querySelectorAll("[data-toast]")) {
    toast(each.textContent.trim());
    each.removeAttribute("data-toast");
  }
  if (document.activeElement !== document.body || !last) return;
  const place = document.querySelector(last) ?? document.getElementById("main");
  if (!place.matches("a, button, input, select, textarea, summary, [tabindex]")) place.tabIndex = -1;
  place.focus({ preventScroll: true });
});

document.addEventListener("htmx:error", () => {
  toast("The server did not answer. What you typed is still here: try again.");
});
