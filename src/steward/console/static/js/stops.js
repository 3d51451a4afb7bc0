// Shows what is stopped as soon as somebody stops or lifts it, even where live parts are paused. The stream tells only
// that something changed ("stops-told"); what the bar says, and offers, is asked for as whoever looks.
const TOLD = "stops-told";
let known = null;
let isDue = false;

async function show() {
  const bar = document.getElementById("stop-switch");
  if (!bar || bar.contains(document.activeElement)) return;
  isDue = false;
  const answer = await fetch("/stop", { headers: { accept: "text/html" } }).catch(() => null);
  if (!answer?.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const now = page.getElementById("stop-switch");
  if (!now || bar.contains(document.activeElement)) return;
  for (const back of now.querySelectorAll("input[name=back]")) back.value = location.pathname + location.search;
  bar.replaceWith(now);
}

document.addEventListener("steward:now", (event) => {
  const told = event.detail.html?.[TOLD];
  if (told === undefined || told === known) return;
  // The first one tells where this page stands.
  isDue ||= known !== null;
  known = told;
  if (isDue) show();
});
document.addEventListener("focusout", () => setTimeout(() => { if (isDue) show(); }));
