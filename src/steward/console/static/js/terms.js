// Words of the trade: shows what they mean on a touch, keeps it on the screen, and hides it on Esc.
const WIDEST_PX = 312;

function show(term) {
  term.classList.remove("hushed");
  const room = document.documentElement.clientWidth - term.getBoundingClientRect().left;
  term.classList.toggle("to-left", room < WIDEST_PX && term.getBoundingClientRect().right > room);
}

const termOf = (event) => (event.target instanceof Element ? event.target.closest(".term") : null);

for (const kind of ["pointerover", "focusin"]) {
  document.addEventListener(kind, (event) => {
    const term = termOf(event);
    if (term) show(term);
  });
}
document.addEventListener("click", (event) => termOf(event)?.focus());
addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const term of document.querySelectorAll(".term:is(:hover, :focus)")) term.classList.add("hushed");
});
