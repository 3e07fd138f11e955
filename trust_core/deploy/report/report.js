"use strict";
// What a point of a chart says, shown beside the pointer; the nearest one within reach counts.
const REACH = 24;
const tip = document.createElement("div");
tip.id = "tip";
tip.hidden = true;
document.body.append(tip);
for (const figure of document.querySelectorAll("svg.figure")) {
  const points = [...figure.querySelectorAll("[data-tip]")];
  let shown = null;
  const mark = (point) => {
    if (shown) { shown.style.stroke = ""; shown.style.strokeWidth = ""; }
    shown = point;
    if (point) { point.style.stroke = "#1b2025"; point.style.strokeWidth = "2"; }
    tip.hidden = !point;
  };
  figure.addEventListener("pointermove", (event) => {
    let nearest = null, least = REACH;
    for (const point of points) {
      const box = point.getBoundingClientRect();
      const across = Math.max(box.left - event.clientX, 0, event.clientX - box.right);
      const down = Math.max(box.top - event.clientY, 0, event.clientY - box.bottom);
      const distance = Math.hypot(across, down);
      if (distance <= least) { least = distance; nearest = point; }
    }
    mark(nearest);
    if (!nearest) return;
    tip.textContent = nearest.dataset.tip;
    const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    const above = event.clientY + 18 + tip.offsetHeight > innerHeight;
    tip.style.left = `${left}px`;
    tip.style.top = `${above ? event.clientY - tip.offsetHeight - 10 : event.clientY + 18}px`;
  });
  figure.addEventListener("pointerleave", () => mark(null));
}
