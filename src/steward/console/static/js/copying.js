// Copies a field's text: <button data-copy="id of the field" hidden>, shown where copying works.
import { toast } from "./toast.js";

for (const button of document.querySelectorAll("[data-copy]")) {
  const field = document.getElementById(button.dataset.copy);
  button.hidden = !field;
  button.addEventListener("click", async () => {
    field.select();
    // Over plain HTTP there is no clipboard: then the text is at least selected.
    await navigator.clipboard?.writeText(field.value).then(() => toast("Copied"), () => {});
  });
}
