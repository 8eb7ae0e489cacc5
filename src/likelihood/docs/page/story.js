// The story in order: every chart and picture goes below the heading that its name belongs to; one that stands twice (of a benchmark
// that is run, and among the committed ones) is kept once. A picture says which benchmark it is of.
const story = [
  ["likely", "Which images do the models find likely?", /^How_likely|^plots_.*_likelihoods_png$/],
  ["scores", "Scores that tell the sets apart", /^plots_scores_|^Flagging|_(gradients|regret)_scores_png$/],
  ["samples", "What the models draw, by epoch", /^plots_.*_samples_png$/],
  ["learning", "How they learned", /^Loss_while|^plots_.*_curves_png$/],
  ["extremes", "The most and the least likely images of every set", /^plots_.*_contact_/],
  ["claims", "Why: the paper's claims, one by one", /^plots_.*_claims_/],
  ["more", "More", /./],
];
const main = document.querySelector("main"), links = [], seen = new Set();
const twice = new Set();
const parts = [...main.children].filter((part) => seen.has(part.id) ? (part.remove(), twice.add(part.id), false) : seen.add(part.id));
// The committed figures that dvc.yaml always shows; of a benchmark that is run all others are, and these stand twice.
const always = /^plots_([[always]])_figures_/;
for (const [name, title, pattern] of story) {
  const here = parts.filter((part) => pattern.test(part.id));
  if (!here.length) continue;
  const heading = document.createElement("h2");
  heading.id = name;
  heading.textContent = title;
  main.append(heading);
  const place = (part) => !part.querySelector("img") ? 0 : twice.has(part.id) || !always.test(part.id) ? 1 : 2;
  here.sort((one, other) => place(one) - place(other));  // charts, then pictures of benchmarks that are run, then of others
  if (name === "scores") here.reverse();  // the table of all, then the curves of one score
  for (const part of here) {
    parts.splice(parts.indexOf(part), 1);
    main.append(part);
  }
  links.push(`<a href="#${name}">${title}</a>`);
}
document.querySelector("nav").innerHTML = links.join(" · ");
for (const picture of document.querySelectorAll("main img")) {
  const label = picture.parentElement.querySelector("p"), path = picture.closest("main > div").querySelector("p").textContent;
  const found = path.match(/^plots\/(.*)\/(.*)\.png$/);
  if (!found) continue;
  const of = found[1].replace(/\/(claims|figures|contact)$/, "");
  label.textContent = `${of === "scores" ? "every score on every pair of sets" : `${of}: ${found[2]}`} (${label.textContent})`;
  picture.alt = label.textContent;
}
