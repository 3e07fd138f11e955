// One picture of several that share a cursor: pointing at one of them shows the place on all, with
// the bits of each. The arrow keys move the cursor of a picture that has the focus.

const CURSOR = "evidence-cursor";
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const FAR = 10; // cells that an arrow moves with Shift

const point = (at) => document.dispatchEvent(new CustomEvent(CURSOR, { detail: at }));

const decoded = (cells) => {
  const bytes = Uint8Array.from(atob(cells.values), (sign) => sign.charCodeAt(0));
  return new Int16Array(bytes.buffer);
};

// Where the picture lies in its frame, in pixels of the page.
function laid({ frame, data }) {
  const { clientWidth: width, clientHeight: height } = frame;
  const factor = Math.min(width / data.width, height / data.height);
  const [w, h] = [data.width * factor, data.height * factor];
  const { zoom, x, y } = window.partView ?? { zoom: 1, x: 0, y: 0 }; // of zoom.js
  return { left: zoom * (width - w) / 2 + x * width, top: zoom * (height - h) / 2 + y * height,
    width: zoom * w, height: zoom * h };
}

// The cell under a place, given in shares of the picture; null where the network saw nothing.
function cell({ columns, rows, box: [left, top, right, bottom] }, [x, y]) {
  const [across, down] = [(x - left) / (right - left), (y - top) / (bottom - top)];
  const inside = across >= 0 && across < 1 && down >= 0 && down < 1;
  return inside ? [Math.floor(across * columns), Math.floor(down * rows)] : null;
}

const number = (bits, least) => {
  const size = Math.abs(bits);
  if (size === 0) return "0 bits";
  if (size < least) return `under ${Number(least.toPrecision(1))} bits`;
  return `${bits < 0 ? "−" : "+"}${size >= 1 ? size.toFixed(2) : Number(size.toPrecision(2))} bits`;
};

function told(state, at) {
  const { data, values } = state;
  const found = cell(data, at);
  if (!found) return data.words.unseen;
  const place = `row ${Math.floor((found[1] * data.high) / data.rows) + 1}, column ${Math.floor((found[0] * data.wide) / data.columns) + 1}`;
  if (!values) return place;
  const bits = values[found[1] * data.columns + found[0]] * data.step;
  const side = bits > 0 ? data.words.defect : bits < 0 ? data.words.good : data.words.neither;
  return `${number(bits, data.least)}\n${side}\n${place}`;
}

function show(state, at) {
  const { panel, label } = state;
  state.at = at;
  panel.classList.toggle("pointed", Boolean(at));
  if (!at) { label.textContent = ""; return; }
  const area = laid(state);
  const [x, y] = [area.left + at[0] * area.width, area.top + at[1] * area.height];
  panel.style.setProperty("--x", `${x}px`);
  panel.style.setProperty("--y", `${y}px`);
  label.textContent = told(state, at);
  label.classList.toggle("before", x > state.frame.clientWidth / 2);
  label.classList.toggle("above", y > state.frame.clientHeight / 2);
}

function listen(state) {
  const { frame } = state;
  const pointed = (event) => {
    const [area, edge] = [laid(state), frame.getBoundingClientRect()];
    const x = (event.clientX - edge.left - area.left) / area.width;
    const y = (event.clientY - edge.top - area.top) / area.height;
    point(x >= 0 && x < 1 && y >= 0 && y < 1 ? [x, y] : null);
  };
  frame.addEventListener("pointermove", pointed);
  frame.addEventListener("pointerdown", pointed);
  frame.addEventListener("pointerleave", () => point(null));
  frame.addEventListener("blur", () => point(null));
  frame.addEventListener("keydown", (event) => {
    const step = KEYS[event.key];
    if (event.key === "Escape" && state.at) point(null);
    else if (step) {
      const { columns, rows, box: [left, top, right, bottom] } = state.data;
      const cells = event.shiftKey ? FAR : 1;
      const from = state.at ?? [(left + right) / 2, (top + bottom) / 2];
      const lengths = [(right - left) / columns, (bottom - top) / rows];
      point(from.map((value, axis) =>
        Math.min(1 - 1e-6, Math.max(0, value + step[axis] * cells * lengths[axis]))));
    } else return;
    event.preventDefault();
    event.stopPropagation(); // the same keys step through the parts
  });
}

export default function ({ parentElement, data }) {
  const panel = parentElement.querySelector(".evidence-panel");
  const [frame, label] = ["[role=img]", "output"].map((part) => panel.querySelector(part));
  const first = !panel.state;
  const state = Object.assign((panel.state ??= { panel, frame, label }), {
    data, values: data.values ? decoded(data) : null });
  frame.setAttribute("aria-label", data.alt);
  panel.style.setProperty("--frame", data.frame);
  if (first) listen(state);
  document.removeEventListener(CURSOR, state.follow);
  state.follow = (event) => show(state, event.detail);
  document.addEventListener(CURSOR, state.follow);
  // The old picture stays until the new one can be drawn.
  const next = new Image();
  next.alt = "";
  next.src = data.picture;
  state.next = next;
  next.decode().then(() => {
    if (state.next !== next) return;
    frame.replaceChildren(next);
    show(state, state.at ?? null);
  });
  return () => document.removeEventListener(CURSOR, state.follow);
}
