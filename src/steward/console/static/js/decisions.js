// The list of decisions: J and K move through it, Enter or a click looks into one beside the list, Esc closes that.
const listing = document.getElementById("listing"), peek = document.getElementById("peek"), into = document.getElementById("peeked");
const links = () => [...document.querySelectorAll("a[data-peek]")];
let open = null, asked = 0;

function mark(link) {
  for (const each of links()) {
    if (each === link) each.closest("tr").dataset.chosen = "";
    else delete each.closest("tr").dataset.chosen;
  }
}

async function show(link) {
  const mine = ++asked;
  mark(link);
  open = link;
  const answer = await fetch(link.href, {headers: {accept: "text/html"}}).catch(() => null);
  if (mine !== asked) return;
  if (!answer?.ok || answer.redirected) return location.assign(link.href);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (mine !== asked) return;
  const parts = ["summary-head", "summary"].map(id => page.getElementById(id)).filter(Boolean);
  for (const part of parts) {
    part.querySelectorAll(".about, .crumb").forEach(each => each.remove());
    part.querySelectorAll("h1").forEach(each => { const h2 = document.createElement("h2"); h2.append(...each.childNodes); each.replaceWith(h2); });
  }
  into.replaceChildren(...parts);
  peek.hidden = false;
  listing.classList.add("peeking");
}

function close() {
  asked++;
  peek.hidden = true;
  into.replaceChildren();
  listing.classList.remove("peeking");
  mark(null);
  open?.focus();
  open = null;
}

function move(by) {
  const all = links(), now = all.indexOf(document.activeElement), from = now >= 0 ? now : all.indexOf(open);
  const next = all[Math.max(0, Math.min(all.length - 1, from + by))];
  if (!next) return;
  next.focus();
  next.closest("tr").scrollIntoView({block: "nearest"});
  if (!peek.hidden) show(next);
}

document.addEventListener("click", event => {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  if (event.target.closest("#unpeek")) return close();
  const row = event.target.closest("#decisions tbody tr");
  if (!row || (event.target.closest("a") && !event.target.closest("[data-peek]")) || !getSelection().isCollapsed) return;
  event.preventDefault();
  show(row.querySelector("a[data-peek]"));
});

addEventListener("keydown", event => {
  if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape" && !peek.hidden) return close();
  if (event.target.matches?.("input, textarea, select")) return;
  const inList = event.target.matches?.("a[data-peek]"), single = document.documentElement.dataset.keys !== "off";
  const by = (single && {j: 1, k: -1}[event.key]) || (inList && {ArrowDown: 1, ArrowUp: -1}[event.key]);
  if (!by) return;
  event.preventDefault();
  move(by);
});
