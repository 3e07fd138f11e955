// A Plotly figure that holds still. The same figure with another `moving` layout is only
// relaid out: what a slider moves never draws a curve again, and a zoom stays.

const library = (address) =>
  (window.plotlyLibrary ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error(`cannot load ${address}`));
    document.head.append(script);
  }));

const CONFIG = { displaylogo: false, doubleClick: "reset",
  modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]] };

// What the figure leaves open takes the colours of the page.
const notes = (annotations, { paper }) =>
  annotations.map((note) => ({ bgcolor: paper, opacity: 0.92, borderpad: 1, ...note }));

const themed = (layout, { text, paper, family }) => ({
  ...layout,
  font: { family, size: 13, color: text },
  modebar: { bgcolor: "rgba(0,0,0,0)", color: "rgba(134,140,148,0.6)", activecolor: "#2185C5" },
  hoverlabel: { bgcolor: paper, bordercolor: text, align: "left", font: { family, size: 13, color: text } },
  annotations: notes(layout.annotations ?? [], { paper }),
});

const theme = (element) => {
  const style = getComputedStyle(element);
  const value = (name) => style.getPropertyValue(name).trim();
  return { text: value("--st-text-color"), paper: value("--st-background-color"), family: value("--st-font") };
};

function draw(Plotly, host, data) {
  const look = theme(host);
  const shown = data.figure + JSON.stringify(look);
  if (host.shown === shown) {
    const { shapes, annotations } = data.moving;
    return shapes && Plotly.relayout(host, { shapes, annotations: notes(annotations, look) });
  }
  const first = host.shown === undefined;
  host.shown = shown;
  const { data: traces, layout } = JSON.parse(data.figure);
  const size = { width: host.clientWidth, uirevision: data.revision };
  const drawn = Plotly.react(host, traces, themed({ ...layout, ...data.moving, ...size }, look), CONFIG);
  if (!first) return drawn;
  host.on("plotly_click", ({ points: [point] }) => {
    const [threshold, strength] = [point.customdata?.[0], point.data.meta ?? point.customdata?.[1]];
    if (Number.isFinite(threshold)) host.choose({ threshold, strength });
  });
  new ResizeObserver(() => {
    if (host.clientWidth && host.clientWidth !== host.layout.width) {
      Plotly.relayout(host, { width: host.clientWidth });
    }
  }).observe(host);
  return drawn;
}

export default function ({ parentElement, data, setTriggerValue }) {
  const host = parentElement.querySelector(".chart");
  host.setAttribute("role", "img");
  host.setAttribute("aria-label", data.alt);
  host.style.height = `${data.height}px`;
  host.choose = (point) => setTriggerValue("chosen", point);
  host.wanted = data;
  // The last state wins when several arrive while the library loads.
  library(data.library)
    .then((Plotly) => host.wanted === data && draw(Plotly, host, data))
    .catch((error) => { host.textContent = `This chart could not be drawn: ${error.message}.`; });
}
