// All pictures of a part are zoomed and moved in step. Where they stand is three numbers on the page,
// which every picture reads as a style, so that a picture drawn anew stands where the others do.

const PICTURES = ".st-key-part-panels .stImage, .st-key-mask-panels .stImage, .evidence-panel [role=img]";
const MOST = 12, STEP = 1.4;

// Zoom, and how far the picture is moved, in shares of its own width and height.
const view = () => (window.partView ??= { zoom: 1, x: 0, y: 0 });

function show({ zoom, x, y }) {
  const clamped = Math.min(Math.max(zoom, 1), MOST);
  const within = (shift) => Math.min(0, Math.max(1 - clamped, shift)); // no edge comes inside
  Object.assign(view(), { zoom: clamped, x: within(x), y: within(y) });
  const style = document.documentElement.style;
  style.setProperty("--part-zoom", view().zoom);
  style.setProperty("--part-x", `${100 * view().x}%`);
  style.setProperty("--part-y", `${100 * view().y}%`);
  document.documentElement.classList.toggle("part-zoomed", view().zoom > 1);
  for (const label of document.querySelectorAll(".part-zoom output")) {
    label.textContent = `${Math.round(100 * view().zoom)}\u00a0%`;
  }
}

// The place in the frame, in shares of it, stays where it is.
function zoomAt(factor, [x, y] = [0.5, 0.5]) {
  const now = view();
  const zoom = Math.min(Math.max(now.zoom * factor, 1), MOST);
  show({ zoom, x: x - (zoom / now.zoom) * (x - now.x), y: y - (zoom / now.zoom) * (y - now.y) });
}

const placed = (frame, event) => {
  const area = frame.getBoundingClientRect();
  return [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height];
};

function install() {
  document.addEventListener("wheel", (event) => {
    const frame = event.target.closest?.(PICTURES);
    if (!frame || !(event.ctrlKey || event.metaKey)) return; // a bare wheel scrolls the page
    event.preventDefault();
    zoomAt(STEP ** (-event.deltaY / 100), placed(frame, event));
  }, { passive: false });
  document.addEventListener("pointerdown", (event) => {
    const frame = event.target.closest?.(PICTURES);
    if (!frame || view().zoom <= 1 || event.button !== 0) return;
    const start = { ...view() }, area = frame.getBoundingClientRect();
    const move = (now) => show({ zoom: start.zoom,
      x: start.x + (now.clientX - event.clientX) / area.width,
      y: start.y + (now.clientY - event.clientY) / area.height });
    const end = () => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", end);
      removeEventListener("pointercancel", end);
    };
    event.preventDefault();
    addEventListener("pointermove", move);
    addEventListener("pointerup", end);
    addEventListener("pointercancel", end);
  });
  document.addEventListener("dblclick", (event) => {
    const frame = event.target.closest?.(PICTURES);
    if (frame) view().zoom > 1 ? show({ zoom: 1, x: 0, y: 0 }) : zoomAt(3, placed(frame, event));
  });
  document.addEventListener("dragstart", (event) => {
    if (event.target.closest?.(PICTURES)) event.preventDefault();
  });
  // Esc leaves a picture that fills the screen, and nothing else: the page has Esc for "All photos".
  addEventListener("keydown", (event) => {
    const close = event.key === "Escape" && document.querySelector("button[aria-label^='Close fullscreen']");
    if (!close) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    close.click();
  }, true);
}

export default function ({ parentElement, data }) {
  if (!window.partView) install();
  if (view().part !== data.part) show({ zoom: 1, x: 0, y: 0 }); // of the part before
  view().part = data.part;
  show(view());
  const [out, whole, into] = parentElement.querySelectorAll("button");
  out.onclick = () => zoomAt(1 / STEP);
  into.onclick = () => zoomAt(STEP);
  whole.onclick = () => show({ zoom: 1, x: 0, y: 0 });
}
