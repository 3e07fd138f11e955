// A Plotly figure that holds still. The same figure with another `moving` layout is only
// relaid out: what a slider moves never draws a curve again, and a zoom stays.
//
// A chart with `live` follows a slider of Streamlit while it is dragged: the server sent what differs
// from stop to stop of it, and confirms when the slider is let go.

const library = (address) =>
  (window.plotlyLibrary ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error(`cannot load ${address}`));
    document.head.append(script);
  }));

// The currency's sign is that of per cent: `PERCENT` of trust_core/figures/elements.py.
const CONFIG = { displaylogo: false, doubleClick: "reset", locale: "en",
  locales: { en: { format: { currency: ["", "\u00a0%"] } } },
  modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]] };
const FIXED = { ...CONFIG, modeBarButtons: [["toImage"]] };

// What the figure leaves open takes the colours of the page.
// A colour that is told from others as a line, towards the colour of the text: to be read as words.
const readable = (colour, text) => {
  const parts = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const [own, ink] = [parts(colour), parts(text)];
  return `rgb(${own.map((value, index) => Math.round(0.65 * value + 0.35 * ink[index]))})`;
};

const noted = (note, { text, paper }) => {
  const colour = note.font?.color;
  const font = colour ? { ...note.font, color: readable(colour, text) } : note.font;
  return { bgcolor: paper, opacity: 0.92, borderpad: 1, ...note, font };
};

const themed = (layout, { text, paper, family }) => ({
  ...layout,
  font: { family, size: 13, color: text },
  modebar: { bgcolor: "rgba(0,0,0,0)", color: "rgba(134,140,148,0.6)", activecolor: "#2185C5" },
  hoverlabel: { bgcolor: paper, bordercolor: text, align: "left", font: { family, size: 13, color: text } },
  annotations: (layout.annotations ?? []).map((note) => noted(note, { text, paper })),
});

const theme = (element) => {
  const style = getComputedStyle(element);
  const value = (name) => style.getPropertyValue(name).trim();
  return { text: value("--st-text-color"), paper: value("--st-background-color"), family: value("--st-font") };
};

// Every slider says where it stands in `aria-valuetext`; whoever follows one hears of it at once.
const watch = () => {
  window.sliderWatch ??= new MutationObserver((changes) => {
    for (const { target } of changes) {
      const slider = /st-key-(\S+)/.exec(target.closest("[class*='st-key-']")?.className ?? "")?.[1];
      const text = target.getAttribute("aria-valuetext");
      document.dispatchEvent(new CustomEvent("slidermoved", { detail: { slider, text } }));
    }
  });
  window.sliderWatch.observe(document.body, { subtree: true, attributeFilter: ["aria-valuetext"] });
};

const put = (layout, path, value) => {
  const names = path.split(".");
  const last = names.pop();
  names.reduce((inner, name) => inner[name], layout)[last] = value;
};

// Moves the marks; where they stand already nothing is drawn again, which costs as much as a move.
function relay(host, { shapes }) {
  const text = JSON.stringify(shapes);
  if (!shapes || host.marks === text) return undefined;
  host.marks = text;
  return window.Plotly.relayout(host, { shapes });
}

// Numbers and marks at one stop of the slider, as the server will say them; of several stops within
// a frame only the last is drawn.
function follow(host, index) {
  for (const place of document.querySelectorAll("[data-live]")) {
    const texts = host.live.numbers[place.dataset.live];
    if (texts) place.textContent = texts[index].replace(/(\d) %/, "$1\u00a0%");
  }
  cancelAnimationFrame(host.frame);
  host.frame = requestAnimationFrame(() => {
    const moving = structuredClone(host.wanted.moving);
    for (const [path, values] of Object.entries(host.live.tracks)) put(moving, path, values[index]);
    if (moving.shapes.length) relay(host, moving);
  });
}

// Ahead of the server, what it alone can say fades.
const ahead = (is) => document.documentElement.classList.toggle("ahead", is);

function lead(host) {
  if (host.liveText !== host.wanted.live) host.live = JSON.parse(host.wanted.live);
  host.liveText = host.wanted.live;
  watch();
  document.removeEventListener("slidermoved", host.follow);
  host.follow = ({ detail: { slider, text } }) => {
    const index = slider === host.live.slider ? host.live.texts.indexOf(text) : -1;
    if (index < 0 || !host.layout) return;
    ahead(index !== host.wanted.here);
    follow(host, index);
  };
  document.addEventListener("slidermoved", host.follow);
}

// An answer to an earlier move must not throw back a slider that has been moved on.
function catchUp(host) {
  const input = document.querySelector(`.st-key-${host.live.slider} input`);
  const text = input === document.activeElement ? input?.getAttribute("aria-valuetext") : null;
  const index = host.live.texts.indexOf(text);
  const at = index >= 0 ? index : host.wanted.here;
  ahead(at !== host.wanted.here);
  // Also where nothing has moved: an event between two answers may have left numbers of the earlier one.
  if (at in host.live.texts) follow(host, at);
}

// A figure says in its `meta` what of its layout is another one where there is little room.
const NARROW = 520; // pixels
const isNarrow = (host) => host.clientWidth < NARROW;
const fitted = (layout, host) => ({ ...layout, ...(isNarrow(host) ? layout.meta?.narrow : {}) });

function draw(Plotly, host, data) {
  const look = theme(host);
  const shown = data.figure + JSON.stringify(look) + isNarrow(host);
  if (host.shown === shown) return relay(host, data.moving);
  const first = host.shown === undefined;
  host.shown = shown;
  host.marks = undefined;
  host.narrow = isNarrow(host);
  const figure = JSON.parse(data.figure), traces = figure.data, layout = fitted(figure.layout, host);
  const size = { width: host.clientWidth, uirevision: data.revision };
  const drawn = Plotly.react(host, traces, themed({ ...layout, ...data.moving, ...size }, look),
    layout.xaxis.fixedrange ? FIXED : CONFIG);
  if (!first) return drawn;
  host.on("plotly_click", ({ points: [point] }) => {
    const [threshold, strength] = [point.customdata?.[0], point.data.meta ?? point.customdata?.[1]];
    if (Number.isFinite(threshold)) host.choose({ threshold, strength });
  });
  new ResizeObserver(() => {
    if (!host.clientWidth || host.clientWidth === host.layout.width) return;
    const other = host.narrow !== isNarrow(host) && host.layout.meta?.narrow;
    if (other) draw(Plotly, host, host.wanted);
    else Plotly.relayout(host, { width: host.clientWidth });
  }).observe(host);
  return drawn;
}

export default function ({ parentElement, data, setTriggerValue }) {
  const host = parentElement.querySelector(".chart");
  host.setAttribute("role", "figure"); // what is inside can be pressed, as in no image
  host.setAttribute("aria-label", data.alt);
  host.style.height = `${data.height}px`;
  host.choose = (point) => setTriggerValue("chosen", point);
  host.wanted = data;
  if (data.live) lead(host);
  // The last state wins when several arrive while the library loads.
  library(data.library)
    .then((Plotly) => host.wanted === data && draw(Plotly, host, data))
    .then(() => host.wanted === data && data.live && catchUp(host))
    .catch((error) => { host.textContent = `This chart could not be drawn: ${error.message}.`; });
}
