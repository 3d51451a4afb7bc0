// Approvals by keyboard: J and K move, Enter opens, A approves, R rejects, each after its reason; Esc leaves the field.
import { toast } from "./toast.js";

const root = document.documentElement;
const rows = () => [...document.querySelectorAll("#queue a.ask")];
const reason = () => document.getElementById("reason");
const button = (way) => document.querySelector(`#answer [data-way="${way}"]`);
const isTyping = (target) => target.matches("input, textarea, select") || target.isContentEditable;
let meant = "";

function mean(way) {
  const told = document.getElementById("meant");
  meant = way;
  if (!told) return;
  told.dataset.rests ??= told.textContent;
  told.textContent = way ? `Say why; Enter ${way === "approve" ? "approves" : "rejects"}, Esc leaves.` : told.dataset.rests;
}

function move(by) {
  const all = rows();
  const at = all.indexOf(document.activeElement.closest("a.ask"));
  const open = all.findIndex((row) => row.hasAttribute("aria-current"));
  const next = at >= 0 ? at + by : open >= 0 ? open + by : by > 0 ? 0 : all.length - 1;
  const row = all[Math.min(Math.max(next, 0), all.length - 1)];
  row?.focus();
  row?.scrollIntoView({ block: "nearest" });
}

function answer(way) {
  const field = reason();
  if (!field || !button(way)) return false;
  if (field.value.trim()) button(way).click();
  else { mean(way); field.focus(); }
  return true;
}

function inField(event) {
  if (event.key === "Escape") {
    mean("");
    event.target.blur();
    (rows().find((row) => row.hasAttribute("aria-current")) ?? document.getElementById("main"))?.focus({ preventScroll: true });
    event.preventDefault();
  } else if (event.key === "Enter" && event.target.closest("#answer") && event.target.matches("input")) {
    event.preventDefault();
    if (meant && event.target.form.reportValidity()) button(meant)?.click();
  }
}

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey || event.isComposing) return;
  if (!(event.target instanceof Element) || document.querySelector("dialog[open]")) return;
  if (isTyping(event.target)) return inField(event);
  if (root.dataset.keys === "off" || event.repeat && !"jk".includes(event.key.toLowerCase())) return;
  const key = event.key.toLowerCase();
  if (key === "j" || key === "k") move(key === "j" ? 1 : -1);
  else if (!(key === "a" && answer("approve")) && !(key === "r" && answer("reject"))) return;
  event.preventDefault();
});

// Beside a list the URL says which question is open, so that what is fetched anew is about this one, whatever comes first.
function tellWhichIsOpen() {
  const place = document.getElementById("inbox")?.dataset.opened;
  if (place && matchMedia("(min-width: 761px)").matches) history.replaceState(history.state, "", place);
}

// A page that only says what went wrong has no list: then this one stays, with what was typed.
document.addEventListener("htmx:after:request", (event) => {
  const { ctx } = event.detail;
  if (ctx.select !== "#inbox" || ctx.response.status < 400 || ctx.text.includes('id="inbox"')) return;
  event.preventDefault();
  const page = new DOMParser().parseFromString(ctx.text, "text/html");
  const told = page.querySelector("main .sentence") ?? page.querySelector("main h1");
  toast(`It was not taken: ${told?.textContent ?? "the server could not do it. Try again"}`);
});

document.addEventListener("htmx:after:swap", () => { meant = ""; });
document.addEventListener("htmx:after:settle", tellWhichIsOpen);
tellWhichIsOpen();
