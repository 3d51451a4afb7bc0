// Counts down what has a deadline (data-due), by the runtime's clock, which may be virtual: <html data-now> is the
// present, set by the server with the page and by the stream while it is open.
const root = document.documentElement;
const SOON_S = 600;
let known = { now: Date.parse(root.dataset.now), read: performance.now(), rate: 1 };

export const present = () => known.now + (performance.now() - known.read) * known.rate;

// As steward.console.zones.span writes it.
export function span(seconds) {
  const left = Math.max(0, Math.floor(seconds));
  const two = (value) => String(value).padStart(2, "0");
  if (left < 3600) return `${Math.floor(left / 60)}:${two(left % 60)}`;
  if (left < 86400) return `${Math.floor(left / 3600)} h ${Math.floor((left % 3600) / 60)} min`;
  return `${Math.floor(left / 86400)} d ${Math.floor((left % 86400) / 3600)} h`;
}

export function countDown() {
  const now = present();
  for (const each of document.querySelectorAll("[data-due]")) {
    const left = (Date.parse(each.dataset.due) - now) / 1000;
    const text = span(left);
    if (each.textContent !== text) each.textContent = text;
    each.classList.toggle("soon", left < SOON_S);
  }
}

function learn() {
  const now = Date.parse(root.dataset.now);
  const read = performance.now();
  const passed = read - known.read;
  if (Number.isNaN(now)) return;
  // Two words of the stream tell how fast the runtime's clock goes; a real one is late by the way now and then. One
  // that leaps, as a demo's does from hour to hour, may stand the next moment: nothing is counted down ahead of it.
  const rate = passed > 400 ? Math.min(1, Math.max(0, (now - known.now) / passed)) : known.rate;
  known = { now, read, rate: Math.abs(rate - 1) < 0.5 ? 1 : rate };
  countDown();
}

document.addEventListener("steward:now", (event) => { root.dataset.now = event.detail.now; });
new MutationObserver(learn).observe(root, { attributes: true, attributeFilter: ["data-now"] });
document.addEventListener("htmx:after:swap", countDown);
setInterval(countDown, 1000);
countDown();
