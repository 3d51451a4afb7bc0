// A tab's side of the live stream: shows what has changed, but never under the reader's hand.
//
//   <div id="live-decisions" data-live>…</div>      Its inside is sent by the stream: a page's FRAGMENTS has its id.
//   <div id="answers" data-live="page">…</div>      Its inside is taken out of this page, fetched again when anything changed.
//                                                   With data-live-gone="reload" the page is loaded anew once it has no such part.
//   <span data-live-news="live-decisions"></span>   Gets a button "3 new" while that part is held back. Reserve its place.
//   <button data-live-pause aria-pressed="false" hidden>   Pauses all parts, in every tab of this browser from its next page on.
//   <span data-live-state></span>                   Says "live", "paused" or "not connected".
//
// Held back is a part that is paused, under the mouse, or with the focus or a selection inside. Rows with data-key are
// counted as news. After a part was shown, `steward:shown` comes from its element; `steward:now` with {now, waiting, html}
// comes from the document with each message.
import {countDown} from "./clock.js";
import {Stream} from "./stream.js";
import {toast} from "./toast.js";

const PAGE = "page", PAUSED = "steward-live-paused", PAGE_EVERY_MS = 3_000;
const root = document.documentElement, canHover = matchMedia("(hover: hover)");
const held = new Map();
let paused = localStorage.getItem(PAUSED) === "yes", state = "lost", seen = null;
let waiting = Number(document.querySelector('#side a[href="/approvals"] .badge')?.textContent ?? 0);

const parts = () => [...document.querySelectorAll("[data-live][id]")];
const pulled = () => parts().filter(part => part.dataset.live === PAGE);

function isBusy(part) {
  const selection = getSelection();
  return paused || (canHover.matches && part.matches(":hover")) || part.contains(document.activeElement)
    || (!selection.isCollapsed && part.contains(selection.anchorNode));
}

function show(part, html) {
  held.delete(part.id);
  tellNews(part.id, 0);
  const open = [...part.querySelectorAll("details")].map(each => each.open);
  part.innerHTML = html;
  part.querySelectorAll("details").forEach((each, place) => { each.open = open[place] ?? each.open; });
  window.htmx?.process(part);
  countDown();
  part.dispatchEvent(new CustomEvent("steward:shown", {bubbles: true}));
}

function offer(part, html) {
  if (!isBusy(part)) return show(part, html);
  held.set(part.id, html);
  const known = new Set([...part.querySelectorAll("[data-key]")].map(row => row.dataset.key));
  const made = document.createElement("template");
  made.innerHTML = html;
  tellNews(part.id, [...made.content.querySelectorAll("[data-key]")].filter(row => !known.has(row.dataset.key)).length);
}

function tellNews(id, count) {
  const slot = document.querySelector(`[data-live-news="${id}"]`);
  if (!slot) return;
  if (!count) return slot.replaceChildren();
  let button = slot.firstElementChild;
  if (!button) {
    button = Object.assign(document.createElement("button"), {type: "button", className: "news"});
    button.onclick = () => { const part = document.getElementById(id); if (held.has(id)) show(part, held.get(id)); };
    slot.append(button);
  }
  button.textContent = `${count} new`;
}

// What was held back follows as soon as nobody is in its way.
function release() {
  for (const [id, html] of [...held]) {
    const part = document.getElementById(id);
    if (!part) held.delete(id);
    else if (!isBusy(part)) show(part, html);
  }
}

let fetchedAt = 0, fetching = 0;
function fetchPage() {
  if (fetching || !pulled().length || document.hidden) return;
  fetching = setTimeout(async () => {
    fetchedAt = Date.now();
    try {
      const answer = await fetch(location.href, {headers: {accept: "text/html"}});
      if (answer.ok && !answer.redirected) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const part of pulled()) {
          const now = page.getElementById(part.id);
          if (!now && part.dataset.liveGone === "reload") location.reload();
          if (now && now.innerHTML !== part.innerHTML) offer(part, now.innerHTML);
        }
      }
    } catch { /* the stream tells that the server is away */ } finally { fetching = 0; }
  }, Math.max(0, fetchedAt + PAGE_EVERY_MS - Date.now()));
}

function tellWaiting(count) {
  const link = document.querySelector('#side a[href="/approvals"]');
  if (link) {
    let badge = link.querySelector(".badge");
    if (!count) badge?.remove();
    else {
      if (!badge) link.append(badge = Object.assign(document.createElement("b"), {className: "badge"}));
      if (badge.textContent !== String(count)) badge.textContent = count;
      badge.setAttribute("aria-label", `${count} waiting`);
    }
  }
  if (count > waiting) {
    const more = count - waiting;
    toast(more === 1 ? "A decision waits for you" : `${more} more decisions wait for you`);
  }
  waiting = count;
}

function take(news) {
  tellWaiting(news.waiting);
  document.dispatchEvent(new CustomEvent("steward:now", {detail: {now: news.now, waiting: news.waiting, html: news.html}}));
  for (const part of parts()) {
    const html = news.html[part.id];
    if (html !== undefined && part.dataset.live !== PAGE) offer(part, html);
  }
  if (news.html[PAGE] !== undefined && news.html[PAGE] !== seen) {
    // The first one tells where this page stands.
    if (seen !== null) fetchPage();
    seen = news.html[PAGE];
  }
}

function tellState() {
  document.querySelectorAll("[data-live-state]").forEach(each => {
    each.textContent = paused ? "paused" : state === "live" ? "live" : "not connected";
    each.classList.toggle("paused", paused || state !== "live");
    each.hidden = false;
  });
  document.querySelectorAll("[data-live-pause]").forEach(each => {
    each.hidden = false;
    each.setAttribute("aria-pressed", paused);
  });
}

const heard = message => {
  if (message.state) state = message.state;
  if (message.news) take(message.news);
  if (message.state) tellState();
};

function wanted() {
  const show = [...new Set(parts().map(part => part.dataset.live === PAGE ? PAGE : part.id))];
  // Every page wants to know how many wait.
  return {path: root.dataset.events, zone: root.dataset.zone, show: show.length ? show : [PAGE]};
}

function listen() {
  let want, leave;
  if (window.SharedWorker) {
    const {port} = new SharedWorker(new URL("./worker.js", import.meta.url), {type: "module", name: "steward"});
    port.onmessage = ({data}) => heard(data);
    [want, leave] = [() => port.postMessage(wanted()), () => port.postMessage({bye: true})];
  } else {
    const stream = new Stream(heard);
    [want, leave] = [() => { const {path, show, zone} = wanted(); stream.want(path, show, zone); }, () => stream.close()];
  }
  want();
  addEventListener("pagehide", leave);
  addEventListener("pageshow", event => { if (event.persisted) want(); });
  document.addEventListener("htmx:after:swap", want);
}

document.addEventListener("click", event => {
  if (!event.target.closest("[data-live-pause]")) return;
  paused = !paused;
  localStorage.setItem(PAUSED, paused ? "yes" : "no");
  tellState();
  release();
});
for (const kind of ["pointerout", "focusout", "selectionchange"])
  document.addEventListener(kind, () => setTimeout(release, 50));
document.addEventListener("visibilitychange", () => { if (!document.hidden && seen !== null) fetchPage(); });

if (root.dataset.events) {
  tellState();
  listen();
}
