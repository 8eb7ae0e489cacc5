// The list of images: sorted and filtered by the form, and extended as the reader comes to its end, so that thousands stay smooth.
const data = JSON.parse(document.querySelector("#data").textContent);
const models = JSON.parse(document.querySelector("#models").textContent);
const list = document.querySelector("#images"), form = document.querySelector("form"), end = document.querySelector("#end");
const STEP = 60;
let chosen = [], drawn = 0;
const url = (png) => `data:image/png;base64,${png}`;
const make = (parent, tag, text = "", kind = "") => {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  if (kind) element.className = kind;
  return parent.appendChild(element);
};
const map = () => form.elements.map.value;

function draw(entry) {
  const item = make(list, "li", "", entry.flagged ? "flagged" : "");
  const pictures = make(item, "div", "", "pictures");
  const image = make(pictures, "img", "", "image");
  image.src = url(entry.image);
  image.alt = entry.name;
  const over = make(pictures, "img", "", "map");
  over.alt = "";
  over.entry = entry;
  show(over, entry);
  make(item, "div", entry.name.split("/").pop()).title = entry.name;
  make(item, entry.flagged ? "b" : "span", `${entry.flagged ? "flagged, " : ""}p ${+entry.p.toPrecision(2)}`);
  const numbers = make(item, "dl");
  for (const [model, title] of Object.entries(models)) {
    make(numbers, "dt", title);
    make(numbers, "dd", `${entry.bits[model].toFixed(3)}`);
  }
}

function show(over, entry) {
  over.hidden = !map();
  over.parentElement.classList.toggle("mapped", !over.hidden);
  if (map()) over.src = url(entry.maps[map()]);
  over.style.opacity = form.elements.opacity.value / 100;
}

function more() {
  for (const entry of chosen.slice(drawn, drawn + STEP)) draw(entry);
  drawn = Math.min(drawn + STEP, chosen.length);
}

function again() {
  const by = form.elements.sort.value, part = form.elements.name.value.toLowerCase();
  chosen = data.images.filter((entry) => (!form.elements.flagged.checked || entry.flagged) && entry.name.toLowerCase().includes(part));
  if (by === "name") chosen.sort((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }));
  else if (by !== "p") chosen.sort((one, other) => other.bits[by] - one.bits[by]);
  list.replaceChildren();
  drawn = 0;
  more();
  document.querySelector("#count").textContent = `${chosen.length.toLocaleString("en")} of ${data.images.length.toLocaleString("en")} listed images; bits/dim below each`;
}

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("input", (event) => {
  if (event.target.name === "map" || event.target.id === "opacity") for (const over of list.querySelectorAll(".map")) show(over, over.entry);
  else again();
});
new IntersectionObserver((seen) => { if (seen[0].isIntersecting && drawn < chosen.length) more(); }, { rootMargin: "800px" }).observe(end);
again();

const dark = matchMedia("(prefers-color-scheme: dark)");
function histogram() {
  const style = getComputedStyle(document.documentElement), ink = style.getPropertyValue("--ink"), bar = style.getPropertyValue("--accent");
  const axis = { labelColor: ink, titleColor: ink, grid: false, labelFontSize: 12, titleFontSize: 12 };
  vegaEmbed("#histogram", {
    width: "container", height: 150, background: "transparent", autosize: { type: "fit", contains: "padding" },
    data: { values: data.bins },
    layer: [
      { mark: { type: "bar", color: bar, binSpacing: 1 }, encoding: {
        x: { field: "from", bin: { binned: true, step: 1 / data.bins.length }, title: "p", axis: { ...axis, tickCount: 10 } }, x2: { field: "to" },
        y: { field: "images", type: "quantitative", title: "images", axis: { ...axis, tickMinStep: 1 } },
        tooltip: [{ field: "from" }, { field: "to" }, { field: "images" }] } },
      { data: { values: [{ rate: data.rate }] }, mark: { type: "rule", color: ink, strokeDash: [4, 3] },
        encoding: { x: { field: "rate", type: "quantitative" }, tooltip: { value: "flagged to the left" } } },
    ],
    config: { view: { stroke: null } },
  }, { actions: false, renderer: "svg" });
}
dark.addEventListener("change", histogram);
histogram();
