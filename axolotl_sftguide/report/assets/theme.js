// Light and dark; colours come from the style sheet, so that charts follow it.

const THEMES = ["auto", "light", "dark"];
let theme = "auto";

const palette = new Map(); // of the theme that is on
listeners.push((what) => what === "theme" && palette.clear());

function colour(name) {
  if (!palette.has(name)) {
    const style = getComputedStyle(document.documentElement);
    palette.set(name, style.getPropertyValue(`--${name}`).trim());
  }
  return palette.get(name);
}

function setTheme(name) {
  theme = name;
  applyTheme(name);
}

function applyTheme(name) {
  if (name === "auto") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.setAttribute("data-theme", name);
  changed("theme");
}

function themeSwitch() {
  const choose = el(
    "select",
    { id: "theme", change: (event) => setTheme(event.target.value) },
    THEMES.map((name) => el("option", { value: name }, name)),
  );
  return el("label", { class: "theme" }, "Colours ", choose);
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => changed("theme"));
// Charts are drawn again for paper: light, and as wide as a page of A4.
addEventListener("beforeprint", () => {
  document.documentElement.setAttribute("data-print", "");
  applyTheme("light");
});
addEventListener("afterprint", () => {
  document.documentElement.removeAttribute("data-print");
  applyTheme(theme);
});

// Few runs have a colour each, from the ninth on with dashes; many are coloured by score.
const COLOURS = 8;
const MOST_COLOURS = 2 * COLOURS;
const scores = runs.map((run) => run.score).filter((score) => score !== null);
const scoreRange = extent(scores);
const colouredByScore = runs.length > MOST_COLOURS && scoreRange !== null;
const position = new Map(runs.map((run, i) => [run.id, i]));

function mixed(one, other, part) {
  const read = (text) => [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));
  const [a, b] = [read(one), read(other)];
  return `rgb(${a.map((v, i) => Math.round(v + (b[i] - v) * part)).join(" ")})`;
}

// The quality of a score between 0 and 1, whatever the goal.
function quality(score) {
  const [low, high] = scoreRange;
  if (high === low) return 1;
  const part = (score - low) / (high - low);
  return view.goal === "min" ? 1 - part : part;
}

function scoreColour(score) {
  if (score === null || scoreRange === null) return colour("unscored");
  const part = quality(score);
  return part < 0.5
    ? mixed(colour("worst"), colour("middle"), 2 * part)
    : mixed(colour("middle"), colour("best"), 2 * part - 1);
}

function runColour(run) {
  if (colouredByScore) return scoreColour(run.score);
  if (runs.length > MOST_COLOURS) return colour("unscored");
  return colour(`run-${position.get(run.id) % COLOURS}`);
}

function isDashed(run) {
  return runs.length <= MOST_COLOURS && position.get(run.id) >= COLOURS;
}

// For charts with an axis of the score, on which its colour helps from some runs on.
const showsScores = runs.length > COLOURS && scoreRange !== null;

function lineColour(run) {
  return showsScores ? scoreColour(run.score) : runColour(run);
}

function dot(run) {
  const node = el("span", { class: isDashed(run) ? "dot open" : "dot", "aria-hidden": "true" });
  const paint = () => node.style.setProperty("color", runColour(run));
  paint();
  listeners.push((what) => what === "theme" && paint());
  return node;
}

// What the colours mean, beside a chart of many runs.
function scoreLegend(unscored = runs.some((run) => run.score === null), symbol = "unscored") {
  if (!scoreRange) return null;
  const [low, high] = view.goal === "min" ? [scoreRange[1], scoreRange[0]] : scoreRange;
  return el(
    "div",
    { class: "legend" },
    el(
      "span",
      { class: "key" },
      `${view.metric}: ${number(low)} `,
      el("span", { class: "ramp", "aria-hidden": "true" }),
      ` ${number(high)} (best)`,
    ),
    unscored
      ? el("span", { class: "key" }, el("span", { class: `dot ${symbol}`, "aria-hidden": "true" }), "no score")
      : null,
  );
}
