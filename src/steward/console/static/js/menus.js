// Closes what opens from the top bar (details.menu) on Esc, on a press elsewhere, and when another one opens.
const opened = () => document.querySelectorAll("details.menu[open]");

addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented) return;
  for (const menu of opened()) {
    const within = menu.contains(document.activeElement);
    menu.open = false;
    if (within) menu.querySelector("summary").focus();
  }
});

document.addEventListener("click", (event) => {
  for (const menu of opened()) if (!menu.contains(event.target)) menu.open = false;
});

document.addEventListener("toggle", (event) => {
  const menu = event.target;
  if (!(menu instanceof Element) || !menu.matches("details.menu[open]")) return;
  for (const other of opened()) if (other !== menu) other.open = false;
  menu.querySelector(".panel :is(select, textarea, input:not([type=hidden]))")?.focus();
}, true);
