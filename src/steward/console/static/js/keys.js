// Single keys: / searches, ? lists the keys, g and the letter of a menu's item (data-key) goes there, [ and ] go to
// what comes before and after (rel=prev, rel=next).
const WITHIN_MS = 1500;
const root = document.documentElement;
const dialog = document.getElementById("help");
let sawG = -Infinity;

const isTyping = (target) => target.isContentEditable || target.matches("input, textarea, select, [role=textbox]");

function openHelp() {
  if (dialog && !dialog.open) dialog.showModal();
  return Boolean(dialog);
}

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey || event.isComposing) return;
  if (root.dataset.keys === "off" || !(event.target instanceof Element) || isTyping(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  const followsG = performance.now() - sawG < WITHIN_MS;
  sawG = -Infinity;
  if (followsG) {
    const item = document.querySelector(`#side [data-key="${CSS.escape(event.key)}"]`);
    if (item) {
      event.preventDefault();
      event.stopImmediatePropagation();
      item.click();
    }
  } else if (event.key === "/") {
    const field = document.getElementById("search");
    if (!field) return;
    event.preventDefault();
    field.focus();
    field.select();
  } else if (event.key === "?") {
    if (openHelp()) event.preventDefault();
  } else if (event.key === "[" || event.key === "]") {
    document.querySelector(`#main a[rel=${event.key === "[" ? "prev" : "next"}]`)?.click();
  } else if (event.key === "g") {
    sawG = performance.now();
  }
}, true);

document.addEventListener("click", (event) => {
  const opener = event.target instanceof Element && event.target.closest("[data-opens=help]");
  if (opener && !event.metaKey && !event.ctrlKey && openHelp()) event.preventDefault();
  if (event.target === dialog) dialog.close();
});
