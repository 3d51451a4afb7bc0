// Says something in a corner for a while; readers read it out.
const LASTS_MS = 7000;
const place = document.getElementById("toast");
let timer = 0;

export function toast(text) {
  clearTimeout(timer);
  place.textContent = text;
  timer = setTimeout(() => { place.textContent = ""; }, LASTS_MS);
}

place.addEventListener("pointerenter", () => clearTimeout(timer));
place.addEventListener("click", () => { place.textContent = ""; });
