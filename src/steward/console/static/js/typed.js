// Asks before a page is left on which somebody has typed a reason that was not sent.
let sending = false;

const isTyped = () => [...document.querySelectorAll("form[method=post] :is(textarea, input[type=text], input:not([type]))")]
  .some((field) => field.offsetParent !== null && field.value.trim() && field.value !== field.defaultValue);

document.addEventListener("submit", () => {
  sending = true;
  // If the page stays, as with htmx or where a form was refused, what is typed later counts again.
  setTimeout(() => { sending = false; }, 2000);
}, true);

addEventListener("beforeunload", (event) => {
  if (!sending && isTyped()) event.preventDefault();
});
