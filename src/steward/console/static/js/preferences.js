// Makes the choice of a theme instant, and knows the browser's own time zone.
const root = document.documentElement;

for (const form of document.querySelectorAll("form[data-preferences]")) {
  form.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button || button.name !== "theme") return;
    event.preventDefault();
    if (button.value === "system") delete root.dataset.theme;
    else root.dataset.theme = button.value;
    document.querySelector("meta[name=color-scheme]").content = button.value === "system" ? "light dark" : button.value;
    for (const each of document.querySelectorAll("button[name=theme]")) {
      each.setAttribute("aria-pressed", String(each.value === button.value));
    }
    // Charts that are drawn in the browser take their colours anew.
    document.dispatchEvent(new Event("steward:theme"));
    const body = new URLSearchParams({ theme: button.value, back: "/preferences" });
    fetch("/preferences", { method: "POST", body, redirect: "manual" });
  });
}

const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
for (const button of own ? document.querySelectorAll("button[data-mine]") : []) {
  if (!button.value) button.value = own;
  button.title = button.value;
  button.hidden = false;
}
for (const field of own ? document.querySelectorAll("input[data-my-zone]") : []) {
  if (!field.value) field.value = field.defaultValue = own;
}
