// The data of the page, and helpers that turn it into elements and text.

const view = JSON.parse(document.getElementById("data").textContent);
const runs = view.runs;
const runById = new Map(runs.map((run) => [run.id, run]));

// Children that are strings become text, never markup.
function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
}

function el(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  return fill(node, attributes, children);
}

// A formatter is slow to make and quick to use.
const whole = new Intl.NumberFormat("en-US");
const significant = new Map(
  [3, 4].map((digits) => [digits, new Intl.NumberFormat("en-US", { maximumSignificantDigits: digits })]),
);

function number(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e7)) {
    // 1e-06, as the command line writes it
    return value.toExponential(digits - 1).replace(/\.?0+e/, "e").replace(/([+-])(\d)$/, "$10$2");
  }
  return significant.get(digits).format(value);
}

function count(value) {
  return value === null || value === undefined ? "–" : whole.format(value);
}

function plural(amount, word) {
  return `${count(amount)} ${word}${amount === 1 ? "" : "s"}`;
}

function share(part, whole) {
  return whole ? `${Math.round((100 * part) / whole)}%` : "–";
}

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

function bytes(value) {
  return `${(value / 2 ** 30).toFixed(2)} GiB`;
}

// A value of a config as text.
function shown(value) {
  if (value === null || value === undefined) return "–";
  return typeof value === "number" ? number(value) : String(value);
}

// The positions of a curve are stored as differences.
function decoded(curve) {
  let x = 0;
  return { x: curve.x.map((step) => (x += step)), y: curve.y };
}

function decodeAll(curves) {
  const found = {};
  for (const [name, curve] of Object.entries(curves || {})) found[name] = decoded(curve);
  return found;
}

for (const run of runs) {
  run.curves = decodeAll(run.curves);
  run.means = decodeAll(run.means);
  run.limits = decodeAll(run.limits);
  run.evaluations = decodeAll(run.evaluations);
  const sources = run.sources || {};
  run.sources = {
    training: decodeAll(sources.training),
    held_out: decodeAll(sources.held_out),
    apart: sources.apart,
  };
  run.verdicts = run.verdicts || [];
  run.tags = run.tags || [];
  run.scores = run.scores || [];
  run.values = run.values || view.keys.map(() => null);
}

// The value of a curve at a position, on the line between its points.
function valueAt(curve, x) {
  const { x: xs, y: ys } = curve;
  if (!xs.length || x < xs[0] || x > xs[xs.length - 1]) return null;
  let low = 0;
  let high = xs.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (xs[middle] <= x) low = middle;
    else high = middle;
  }
  if (ys[low] === null || xs[low] === x) return ys[low];
  if (ys[high] === null || xs[high] === xs[low]) return ys[high];
  return ys[low] + ((ys[high] - ys[low]) * (x - xs[low])) / (xs[high] - xs[low]);
}

// A status in a word; where it is a value, as in the filter, both are found.
function statusWord(status) {
  return status === "terminated" ? "stopped" : status;
}

// What a rule did, as a symbol and in words.
const ACTIONS = {
  stop: { icon: "✕", word: "Stopped", shape: "cross", colour: "stop", key: "moment of the verdict that stopped the run" },
  park: { icon: "❚❚", word: "Parked", shape: "bars", colour: "warn", key: "parked: stopped for now, with a checkpoint to resume from" },
  resume: { icon: "▶", word: "Resumed", shape: "arrow", colour: "good", key: "resumed" },
  warn: { icon: "▲", word: "Warning", shape: "triangle", colour: "warn", key: "moment of a warning" },
};

function actionOf(verdict) {
  return ACTIONS[verdict.action] || { ...ACTIONS.warn, word: verdict.action };
}

function extent(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value === null || value === undefined) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low > high ? null : [low, high];
}

// A table that stands for a chart; it is built when it is opened.
function tableBehind(summary, headings, rows) {
  const details = el("details", { class: "table" }, el("summary", {}, summary));
  details.addEventListener("toggle", () => {
    if (!details.open || details.querySelector("table")) return;
    details.append(scrolling(simpleTable(headings, rows()), summary));
  });
  return details;
}

const FEW_ROWS = 20; // a table of fewer is shown whole

function rowsOf(table) {
  return table.tBodies[0].rows.length;
}

function scrolling(table, label) {
  return el("div", { class: rowsOf(table) > FEW_ROWS ? "scroll" : "scroll whole", tabindex: 0, role: "region", "aria-label": label }, table);
}

function simpleTable(headings, rows) {
  return el(
    "table",
    {},
    el("thead", {}, el("tr", {}, headings.map((text) => el("th", { scope: "col" }, text)))),
    el(
      "tbody",
      {},
      rows.map((row) =>
        el("tr", {}, row.map((cell, i) => (i ? el("td", {}, cell) : el("th", { scope: "row" }, cell)))),
      ),
    ),
  );
}
