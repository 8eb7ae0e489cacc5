// The story in order: every chart and picture goes below the heading that its name belongs to; one that stands twice (of a benchmark
// that is run, and among the committed ones) is kept once. A picture says which benchmark it is of.
const story = [
  ["likely", "Which images do the models find likely?", /^How_likely|^plots_(?!.*_corruptions_).*_likelihoods_png$/,
    "An out-set to the left of the test images is found more likely than what the model was trained on."],
  ["maps", "Where the bits of an image are", /^On_which_pixels|^plots_.*_(maps|ratio)_png$/,
    "The bits of all pixels add up to −log₂ p(x). An image is likely because of what its pixels are, as the black of a background costs next to nothing, or because of what such pixels cost, as smooth surfaces and gentle edges cost less."],
  ["scores", "Scores that tell the sets apart", /^plots_scores_|^Flagging|_(gradients|regret|residuals|lid)_(scores|missed)_png$|_corruptions_/,
    "An AUROC of 1 tells two sets apart, 0.5 is chance, and below it the foreign images look more normal than the model’s own."],
  ["samples", "What the models draw, by epoch", /^plots_.*_samples_png$/,
    "Each row is a model, from its first epoch to its last: do its samples come to look like the images it was trained on?"],
  ["learning", "How they learned", /^Loss_while|^plots_.*_curves_png$/,
    "Lower is better. A validation curve that rises while the other falls would show that a model learns its images by heart."],
  ["extremes", "The most and the least likely images of every set", /^plots_.*_contact_/,
    "Likely images are mostly plain; unlikely ones have much detail, or grey levels that the model has hardly seen."],
  ["claims", "Why: the paper’s claims, one by one", /^plots_.*_claims_/,
    "What each picture shows of the claims of Nalisnick et al. (2019); docs/claims.md has the verdicts."],
  ["more", "More", /./, ""],
];
const see = {
  likelihoods: "One panel per model, one curve per set. Where the curve of a foreign set lies to the left of the test images, the model finds that set more likely.",
  maps: "Each image stands beside its map under every model; all maps have one scale. Dark pixels are what a model expected, bright ones what it did not.",
  samples: "From left to right a model learns. A VAE shows the means of its pixels, as is usual, and once drawn pixels.",
  curves: "Training and validation images lie on nearly the same curve where a model does not learn its images by heart.",
  "samples/likelihoods": "If the curve of a foreign set lies to the left even of the model’s own samples, the model finds it likelier than what it draws itself.",
  overview: "One row per score, with the model that it does best with; one column per pair of sets. Blue tells them apart; red finds the foreign images more normal than the model’s own.",
  scores: "One row per score, one column per pair of sets. Blue tells them apart; red finds the foreign images more normal than the model’s own.",
  missed: "By the score of a single image that is best on development pairs. Foreign images on the left that are less outlying than some test images are what a detector misses; test images on the right are its false alarms.",
  ratio: "The likelihood ratio is the sum over the last map of each image. Red is what the model itself expects less than the other: the ratio finds an image foreign by its red pixels.",
  "corruptions/likelihoods": "Test images, corrupted more and more from left to right: a curve that falls says that they become likelier.",
  "corruptions/scores": "A score that rises quickly notices a corruption while it is mild.",
  constants: "Images of one grey: the lower a curve, the more likely. Where it is below those of the test images, an image without content is the most likely.",
  contrast: "From left to right the contrast fades: a curve that falls says that images become more likely as they lose content.",
  entropy: "A set further left compresses better. Where the points rise to the right, likelihood follows compressibility.",
  split: "log p(x) of the flow is the sum of these parts: the part in which the foreign set is ahead is what favours it.",
  training: "If the curve of the foreign set is below that of the test images from the start, early stopping cannot help.",
};
const main = document.querySelector("main"), links = [], seen = new Set();
const twice = new Set();
const parts = [...main.children].filter((part) => seen.has(part.id) ? (part.remove(), twice.add(part.id), false) : seen.add(part.id));
// The committed figures that dvc.yaml always shows; of a benchmark that is run all others are, and these stand twice.
const always = /^plots_([[always]])_figures_/;
for (const [name, title, pattern, sentence] of story) {
  const here = parts.filter((part) => pattern.test(part.id));
  if (!here.length) continue;
  const heading = document.createElement("h2");
  heading.id = name;
  heading.textContent = title;
  const meaning = document.createElement("p");
  meaning.className = "meaning";
  meaning.textContent = sentence;
  main.append(heading, meaning);
  const place = (part) => !part.querySelector("img") ? 0 : twice.has(part.id) || !always.test(part.id) ? 1 : 2;
  here.sort((one, other) => place(one) - place(other));  // charts, then pictures of benchmarks that are run, then of others
  const table = (part) => part.id.startsWith("plots_scores_") ? 0 : 1;
  here.sort((one, other) => table(one) - table(other));  // of all scores, before the curves and tables of some
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
  const map = {overview: "each score of single images with its best model", scores: "every score on every pair of sets"}[found[2]];
  label.textContent = `${of === "scores" ? map : `${of}: ${found[2]}`} (${label.textContent})`;
  picture.alt = label.textContent;
  const meaning = see[`${found[1].split("/").pop()}/${found[2]}`] ?? see[found[2]];
  if (!meaning || picture.parentElement.previousElementSibling?.querySelector("img")) continue;  // once, where revisions are compared
  const sentence = document.createElement("p");
  sentence.textContent = meaning;
  picture.before(sentence);
}
