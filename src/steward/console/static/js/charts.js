// The values of a chart at one moment, under the pointer or by a slider with the arrow keys. The server has drawn the
// chart; all values are read from the table beside it. Without this script nothing is missing but the comfort.
const SVG = "http://www.w3.org/2000/svg";
const WIDE = 10000;

function valuesOf(drawn) {
  const table = drawn.closest("figure")?.querySelector(".chart-table table");
  if (!table) return null;
  const text = (cell) => cell.textContent.trim().replace(/\s+/g, " ");
  const names = [...table.tHead.rows[0].cells].map(text);
  const rows = [...table.tBodies[0].rows].map((row) => [...row.cells].map(text));
  return { names, rows };
}

function made(tag, content) {
  const node = document.createElement(tag);
  if (content !== undefined) node.textContent = content;
  return node;
}

function dress(drawn) {
  drawn.dataset.dressed = "";
  const values = valuesOf(drawn);
  const places = drawn.dataset.x.split(" ").filter(Boolean).map(Number);
  if (!values || places.length < 2 || values.rows.length !== places.length) return;
  const slot = Number(drawn.dataset.slot);
  const plot = drawn.querySelector(".plot");
  const cross = document.createElementNS(SVG, "rect");
  cross.setAttribute("class", slot ? "cross" : "cross thin");
  cross.setAttribute("y", "20");
  cross.setAttribute("height", String(Number(plot.getAttribute("height")) - 60));
  cross.setAttribute("width", slot ? `${(100 * slot) / WIDE}%` : "1");
  const readout = made("div");
  readout.className = "readout";
  readout.setAttribute("aria-hidden", "true"); // the slider tells the same
  const seek = made("input");
  seek.type = "range";
  seek.className = "seek";
  seek.max = String(places.length - 1);
  seek.value = seek.max;
  seek.setAttribute("aria-label", `Values at a moment: ${plot.getAttribute("aria-label")}`);
  drawn.append(seek, readout);

  const words = (at) => values.names.slice(1).map((name, column) => [name, values.rows[at][column + 1]]);
  const describe = () => {
    const at = Number(seek.value);
    seek.setAttribute("aria-valuetext", `${values.rows[at][0]}: ${words(at).map((pair) => pair.join(" ")).join(", ")}`);
    return at;
  };
  const show = () => {
    const at = describe();
    cross.setAttribute("x", `${(100 * places[at]) / WIDE}%`);
    plot.append(cross);
    const list = made("dl");
    for (const [name, value] of words(at)) list.append(made("dt", name), made("dd", value));
    readout.classList.toggle("left", places[at] > WIDE / 2);
    readout.replaceChildren(made("b", values.rows[at][0]), list);
  };
  const hide = () => {
    cross.remove();
    readout.replaceChildren();
  };
  const point = (event) => {
    const box = plot.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * WIDE;
    let at = places.findLastIndex((place) => place <= x);
    if (!slot && at + 1 < places.length && (at < 0 || places[at + 1] - x < x - places[at])) at += 1;
    seek.value = String(Math.max(0, at));
    show();
  };
  plot.addEventListener("pointermove", point);
  plot.addEventListener("pointerdown", point);
  plot.addEventListener("pointerleave", () => seek.matches(":focus-visible") || hide());
  seek.addEventListener("input", show);
  seek.addEventListener("focus", () => seek.matches(":focus-visible") && show());
  seek.addEventListener("blur", hide);
  seek.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  describe();
}

function dressAll() {
  for (const drawn of document.querySelectorAll(".drawn[data-x]:not([data-dressed])")) dress(drawn);
}

dressAll();
new MutationObserver(dressAll).observe(document.body, { childList: true, subtree: true });
