// Puts the text of a chosen file into the field beside it: <input type="file" data-into="id of the field">.
const FILES = "input[type=file][data-into]";

function offer() {
  for (const input of document.querySelectorAll(FILES)) {
    input.disabled = false;
    input.closest("[hidden]")?.removeAttribute("hidden");
  }
}

async function take(input) {
  const [file] = input.files;
  if (!file) return;
  const isLarge = file.size > Number(input.dataset.most);
  const told = document.getElementById(input.getAttribute("aria-describedby"));
  told.textContent = isLarge ? `${file.name} is too large for this page: steward verify ${file.name}` : file.name;
  if (!isLarge) document.getElementById(input.dataset.into).value = await file.text();
}

document.addEventListener("change", (event) => { if (event.target.matches(FILES)) take(event.target); });
document.addEventListener("htmx:after:swap", offer);
offer();
