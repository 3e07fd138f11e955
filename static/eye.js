// Scrolls to where it stands when told of a change it has not shown yet; the class marks what follows.
export default function ({ parentElement, data }) {
  if (window.shownChange === data.change) return;
  window.shownChange = data.change;
  const here = parentElement.closest(".stElementContainer") ?? parentElement;
  here.style.scrollMarginTop = "5rem"; // below the bar
  here.scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  let next = here.nextElementSibling;
  for (let count = 0; next && count < 3; count += 1, next = next.nextElementSibling) next.classList.add("changed");
}
