// Counts over strength (rows) and threshold (columns), right flags more. The column of the operating
// point stands among the others in its place, and follows the slider before the server has answered.

const element = (name, attributes = {}, text = "") => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
};

const number = new Intl.NumberFormat("en-US");

function fill(cell, table, row, { threshold, text, count }) {
  const strength = table.strengths[row];
  cell.textContent = number.format(count);
  cell.place = { threshold, strength };
  cell.style.setProperty("--full", `${100 * count / Math.max(1, table.total)}%`);
  cell.setAttribute("aria-label",
    `${number.format(count)} of ${number.format(table.total)} ${table.what}, strength ${table.names[row]}, threshold ${text}`);
}

function build(grid, table) {
  const head = element("tr");
  head.append(element("th", { scope: "col" }, "ε \u2572 τ"));
  for (const text of table.texts) head.append(element("th", { scope: "col" }, text));
  const rows = table.strengths.map((_, row) => {
    const line = element("tr");
    line.append(element("th", { scope: "row" }, table.names[row]));
    table.texts.forEach((text, column) => {
      const cell = element("td", { role: "gridcell", tabindex: "-1" });
      fill(cell, table, row, { threshold: table.thresholds[column], text, count: table.counts[row][column] });
      line.append(cell);
    });
    return line;
  });
  const own = [element("th", { scope: "col", class: "own" }), ...rows.map(() => element("td", { role: "gridcell", tabindex: "-1", class: "own" }))];
  grid.replaceChildren(head, ...rows);
  grid.own = own;
}

// The own column at a stop of the slider: its numbers, and its place among the others.
function move(grid, table, stop) {
  const threshold = table.stops[stop], text = table.stop_texts[stop];
  const twin = table.thresholds.indexOf(threshold);
  const before = table.thresholds.filter((fixed) => fixed > threshold).length;
  [...grid.rows].forEach((line, index) => {
    const own = grid.own[index];
    const focused = document.activeElement === own;
    own.remove();
    [...line.cells].forEach((cell, column) => { cell.hidden = twin >= 0 && column - 1 === twin; });
    line.insertBefore(own, line.cells[before + 1] ?? null);
    if (focused) own.focus();
    if (index === 0) own.textContent = text;
    else fill(own, table, index - 1, { threshold, text, count: table.own[index - 1][stop] });
    own.classList.toggle("here", index - 1 === grid.row);
    if (index - 1 === grid.row) own.setAttribute("aria-selected", "true");
    else own.removeAttribute("aria-selected");
  });
  showOwn(grid);
}

// The own column stays in sight where the table is wider than the screen.
function showOwn(grid) {
  const [head] = grid.own, frame = grid.parentElement, names = grid.rows[0].cells[0].offsetWidth;
  const [left, right] = [head.offsetLeft - names, head.offsetLeft + head.offsetWidth];
  if (left < frame.scrollLeft) frame.scrollLeft = left;
  else if (right > frame.scrollLeft + frame.clientWidth) frame.scrollLeft = right - frame.clientWidth;
}

// One cell can be reached by Tab; the arrows go on from there.
function enter(grid, cell, focus) {
  for (const other of grid.querySelectorAll("td[tabindex='0']")) other.tabIndex = -1;
  cell.tabIndex = 0;
  if (focus) cell.focus();
}

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0],
  Home: [0, -Infinity], End: [0, Infinity] };

function walk(grid, event) {
  const cell = event.target.closest("td");
  if (!cell) return;
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    grid.choose(cell.place);
  }
  const step = STEPS[event.key];
  if (!step) return;
  event.preventDefault();
  event.stopPropagation();
  const within = (value, most) => Math.min(Math.max(value, 0), most - 1);
  const cells = (line) => [...line.querySelectorAll("td:not([hidden])")];
  const lines = [...grid.rows].slice(1);
  const row = within(lines.indexOf(cell.parentElement) + step[0], lines.length);
  const column = cells(cell.parentElement).indexOf(cell) + step[1];
  enter(grid, cells(lines[row])[within(column, cells(lines[row]).length)], true);
}

export default function ({ parentElement, data, setTriggerValue }) {
  const grid = parentElement.querySelector(".heat");
  grid.choose = (place) => place && setTriggerValue("chosen", place);
  if (grid.shown !== data.table) {
    grid.table = JSON.parse(data.table);
    build(grid, grid.table);
  }
  grid.shown = data.table;
  const { table } = grid;
  grid.row = data.row;
  grid.style.setProperty("--hue", table.colour);
  grid.setAttribute("aria-label", `${table.what}, of ${number.format(table.total)}, by strength and threshold`);
  move(grid, table, data.stop);
  if (!grid.querySelector("td[tabindex='0']")) enter(grid, grid.own[data.row + 1], false);
  const follow = ({ detail: { slider, text } }) => {
    const at = table.stop_texts.indexOf(text);
    if (slider === data.slider && at >= 0) move(grid, table, at);
  };
  grid.onkeydown = (event) => walk(grid, event);
  grid.onclick = (event) => {
    const cell = event.target.closest("td");
    if (cell) { enter(grid, cell, true); grid.choose(cell.place); }
  };
  document.removeEventListener("slidermoved", grid.follow);
  grid.follow = follow;
  document.addEventListener("slidermoved", follow);
  return () => document.removeEventListener("slidermoved", grid.follow);
}
