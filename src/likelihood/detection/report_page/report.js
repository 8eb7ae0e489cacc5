// The report: a list of images, sorted and filtered by the form, that grows as the reader comes to its end, so that thousands stay
// smooth; and the histogram of p.
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
const number = (value, digits) => value === null ? "not finite" : value.toFixed(digits);

function draw(entry) {
  const item = make(list, "li", "", entry.flagged ? "flagged" : "");
  const pictures = make(item, "div", "", "pictures");
  const image = make(pictures, "img", "", "image");
  image.src = url(entry.image);
  image.alt = entry.name;
  const over = make(pictures, "img", "", "map");
  over.entry = entry;
  show(over);
  make(item, "div", entry.name.slice(data.folder.length));
  make(item, entry.flagged ? "b" : "span", `${entry.flagged ? "flagged, " : ""}p ${+entry.p.toPrecision(2)}`);
  if ("group" in entry) make(item, "div", `group ${entry.group}, p ${+entry.group_p.toPrecision(2)}`);
  const numbers = make(item, "dl");
  for (const [model, { title }] of Object.entries(models)) {
    make(numbers, "dt", title);
    make(numbers, "dd", number(entry.bits[model], 3));
  }
}

function show(over) {
  over.hidden = !map();
  over.parentElement.classList.toggle("mapped", !over.hidden);
  if (over.hidden) return;
  over.src = url(over.entry.maps[map()]);
  over.alt = `its map under ${models[map()].title}`;
}

function more() {
  for (const entry of chosen.slice(drawn, drawn + STEP)) draw(entry);
  drawn = Math.min(drawn + STEP, chosen.length);
  observer.unobserve(end);  // or it would not tell again where the end is still in view
  if (drawn < chosen.length) observer.observe(end);
}

function again() {
  const by = form.elements.sort.value, part = form.elements.part.value.toLowerCase();
  chosen = data.images.filter((entry) => (!form.elements.flagged.checked || entry.flagged) && entry.name.toLowerCase().includes(part));
  if (by === "name") chosen.sort((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }));
  else if (by !== "p") chosen.sort((one, other) => (other.bits[by] ?? Infinity) - (one.bits[by] ?? Infinity));
  list.replaceChildren();
  drawn = 0;
  more();
  const units = [...new Set(Object.values(models).map(({ unit }) => unit))].join(", ");
  const of = (many) => many.toLocaleString("en");
  document.querySelector("#count").textContent = `${of(chosen.length)} of ${of(data.images.length)} listed images; below each ${units}`;
}

function scale() {
  document.querySelector(".scale").hidden = !map();
  if (map()) document.querySelector("#blind").textContent = `${models[map()].blind} ${models[map()].unit}, a blind guess`;
}

const cover = () => list.style.setProperty("--cover", form.elements.opacity.value / 100);
const observer = new IntersectionObserver((seen) => { if (seen[0].isIntersecting) more(); }, { rootMargin: "800px" });
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("input", (event) => {
  if (event.target.id === "opacity") cover();
  else if (event.target.name === "map") { scale(); for (const over of list.querySelectorAll(".map")) show(over); }
  else again();
});
cover();
scale();
again();

const dark = matchMedia("(prefers-color-scheme: dark)"), place = document.querySelector("#histogram");
place.setAttribute("aria-label", "Histogram of p. " + data.bins.map((bin) => `${bin.from} to ${bin.to}: ${bin.images}`).join("; "));
function histogram() {
  const style = getComputedStyle(document.documentElement), ink = style.getPropertyValue("--ink"), bar = style.getPropertyValue("--bar");
  const axis = { labelColor: ink, titleColor: ink, grid: false, labelFontSize: 12, titleFontSize: 12 };
  const limit = { values: data.limit === null ? [] : [{ limit: data.limit, text: `flagged up to ${+data.limit.toPrecision(2)}` }] };
  const most = Math.max(...data.bins.map((bin) => bin.images));
  vegaEmbed(place, {
    width: "container", height: 170, background: "transparent", autosize: { type: "fit", contains: "padding" },
    data: { values: data.bins },
    layer: [
      { mark: { type: "bar", color: bar, binSpacing: 1 }, encoding: {
        x: { field: "from", bin: { binned: true, step: 1 / data.bins.length }, title: "p", axis: { ...axis, tickCount: 10 } }, x2: { field: "to" },
        y: { field: "images", type: "quantitative", title: "images", axis: { ...axis, tickMinStep: 1 }, scale: { domain: [0, 1.2 * most] } },
        tooltip: [{ field: "from" }, { field: "to" }, { field: "images" }] } },
      { data: limit, mark: { type: "rule", color: ink, strokeWidth: 2, strokeDash: [5, 3] }, encoding: { x: { field: "limit", type: "quantitative" } } },
      { data: limit, mark: { type: "text", color: ink, align: "left", dx: 5, baseline: "top", fontSize: 12 },
        encoding: { x: { field: "limit", type: "quantitative" }, y: { value: 0 }, text: { field: "text" } } },
    ],
    config: { view: { stroke: null } },
  }, { actions: false, renderer: "svg" });
}
dark.addEventListener("change", histogram);
histogram();
