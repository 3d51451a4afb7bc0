// "What am I looking at?" opens a tour of the page's parts: <div data-tour="1" data-tour-text="...">, in that order.
// Next, Back and End are buttons, the arrow keys do the same, and Esc ends it.
const root = document.documentElement;
root.dataset.tours = "on";
let steps = [];
let at = -1;
let box = null;
let opener = null;

function button(label, act, kind = "") {
  const made = document.createElement("button");
  made.type = "button";
  made.className = `button ${kind}`.trim();
  made.textContent = label;
  made.addEventListener("click", act);
  return made;
}

function end() {
  if (!box) return;
  steps[at]?.classList.remove("toured");
  box.remove();
  box = null;
  at = -1;
  opener?.focus();
}

function place(target) {
  const seen = target.getBoundingClientRect();
  const below = seen.bottom + box.offsetHeight + 24 < innerHeight || seen.top < box.offsetHeight + 24;
  const top = below ? Math.min(seen.bottom + 12, innerHeight - box.offsetHeight - 12) : seen.top - box.offsetHeight - 12;
  box.style.top = `${scrollY + Math.max(12, top)}px`;
  box.style.left = `${Math.max(12, Math.min(seen.left, root.clientWidth - box.offsetWidth - 12))}px`;
}

function go(to) {
  if (to < 0 || to >= steps.length) {
    end();
    return;
  }
  steps[at]?.classList.remove("toured");
  at = to;
  const target = steps[at];
  target.classList.add("toured");
  target.scrollIntoView({ block: "center", behavior: "instant" });
  const text = document.createElement("p");
  text.textContent = target.dataset.tourText;
  const count = document.createElement("span");
  count.className = "dim sm grow";
  count.textContent = `${at + 1} of ${steps.length}`;
  const line = document.createElement("div");
  line.className = "line";
  const isLast = at === steps.length - 1;
  line.append(count);
  if (at > 0) line.append(button("Back", () => go(at - 1)));
  if (!isLast) line.append(button("End", end));
  const next = button(isLast ? "Done" : "Next", () => go(at + 1), "primary");
  line.append(next);
  box.replaceChildren(text, line);
  place(target);
  next.focus({ preventScroll: true });
}

function start(from) {
  steps = [...document.querySelectorAll("[data-tour]")]
    .filter((each) => each.getClientRects().length)
    .sort((one, other) => one.dataset.tour - other.dataset.tour);
  if (!steps.length) return;
  end();
  opener = from;
  box = document.createElement("div");
  box.className = "tour";
  box.setAttribute("role", "dialog");
  box.setAttribute("aria-label", "Tour of this page");
  box.setAttribute("aria-live", "polite");
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") end();
    else if (event.key === "ArrowRight") go(at + 1);
    else if (event.key === "ArrowLeft" && at > 0) go(at - 1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  document.getElementById("main").append(box);
  go(0);
}

function offer() {
  if (!document.querySelector("[data-tour]")) return;
  for (const about of document.querySelectorAll(".about:not(:has(.show-around))")) {
    const made = button("Show me around", () => start(made), "show-around");
    about.append(made);
  }
}

addEventListener("resize", () => { if (box) place(steps[at]); });
document.addEventListener("htmx:after:swap", () => {
  if (box && !steps[at].isConnected) end();
  offer();
});
offer();
