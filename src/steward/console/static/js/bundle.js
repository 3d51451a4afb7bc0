// Puts the text of a chosen file into the field beside it: <input type="file" data-into="id of the field">.
for (const input of document.querySelectorAll("input[type=file][data-into]")) {
  const into = document.getElementById(input.dataset.into);
  const told = document.getElementById(input.getAttribute("aria-describedby"));
  input.disabled = false;
  input.closest("[hidden]")?.removeAttribute("hidden");
  input.addEventListener("change", async () => {
    const [file] = input.files;
    if (!file) return;
    const isLarge = file.size > Number(input.dataset.most);
    if (told) told.textContent = isLarge ? `${file.name} is too large for this page: steward verify ${file.name}` : file.name;
    if (!isLarge) into.value = await file.text();
  });
}
