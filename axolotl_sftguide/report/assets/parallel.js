// Parallel coordinates: one axis a setting, and the score last. A range on an axis filters.

const AXES = 8;
const LEFT = 70;
const TOP = 34;
const BOTTOM = 22;
const HEIGHT = 320;

function parallelAxes() {
  const axes = [];
  view.keys.slice(0, AXES).forEach((key, i) => {
    const axis = axisOfValues(key.label, (run) => run.values[i]);
    if (axis) axes.push(axis);
  });
  if (scoreRange && scoreRange[0] < scoreRange[1]) {
    axes.push(axisOfValues(view.metric, (run) => run.score));
  }
  return axes;
}

function axisOfValues(label, of) {
  const values = [...new Set(runs.map(of).filter((value) => value !== null && value !== undefined))];
  if (values.length < 2) return null;
  if (values.every((value) => typeof value === "number")) {
    const [low, high] = extent(values);
    const log = low > 0 && high / low >= 8;
    const part = (value) => (log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low));
    const few = apart(values.sort((a, b) => a - b), part);
    const back = (p) => (log ? low * (high / low) ** p : low + p * (high - low));
    return { label, raw: of, of: (run) => placed(of(run), part), ticks: few.map((v) => [part(v), number(v)]), says: (p) => number(back(p), 3) };
  }
  if (values.length > 24) return null; // names that differ in each run say nothing
  const names = values.map(String).sort();
  const part = (value) => names.indexOf(String(value)) / (names.length - 1);
  return { label, raw: of, of: (run) => placed(of(run), part), ticks: names.map((v) => [part(v), v]), says: (p) => names[Math.round(p * (names.length - 1))] };
}

// The lowest and the highest value, and those between with room for a label.
function apart(values, part) {
  const kept = [values[0]];
  for (const value of values.slice(1, -1)) {
    if (part(value) - part(kept.at(-1)) >= 0.06 && part(value) <= 0.94) kept.push(value);
  }
  return [...kept, values.at(-1)];
}

function placed(value, part) {
  return value === null || value === undefined ? null : part(value);
}

function parallelSection() {
  const axes = parallelAxes();
  if (runs.length < 3 || axes.length < 3) return null; // two axes are the chart above
  const drawing = svg("svg", { class: "parallel", height: HEIGHT, role: "group", "aria-label": "Settings and scores, one line a run" });
  const chart = { node: el("div", { class: "chart" }, drawing), update: () => drawParallel(drawing, axes) };
  register(chart);
  return el(
    "section",
    { id: "parallel" },
    el("h2", {}, "Settings and scores"),
    el(
      "p",
      {},
      "Each line is a run; it passes the values of its settings and ends at its score. ",
      "Runs without a score end before the last axis. ",
      el("span", { class: "drag" }, "Drag along an axis to keep only the runs in a range, or move the two handles of an axis with the arrow keys."),
    ),
    showsScores ? scoreLegend() : null,
    chart.node,
    tableBehind("Settings and scores as a table", ["run", ...axes.map((axis) => axis.label)], () =>
      visibleRuns().map((run) => [run.label, ...axes.map((axis) => shown(axis.raw(run)))]),
    ),
  );
}

function drawParallel(drawing, axes) {
  const focused = document.activeElement && document.activeElement.getAttribute("data-handle");
  const width = drawing.parentNode.clientWidth;
  drawing.setAttribute("width", width);
  drawing.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  const x = (i) => LEFT + (i * (width - 2 * LEFT)) / Math.max(1, axes.length - 1);
  const y = (part) => HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM);
  const ordered = [...runs].sort((a, b) => drawn(a) - drawn(b));
  drawing.replaceChildren(
    svg("g", {}, ordered.map((run) => runPath(run, axes, x, y))),
    ...axes.map((axis, i) => axisGroup(axis, i, x(i), y, i === axes.length - 1)),
  );
  const handle = focused && drawing.querySelector(`[data-handle="${focused}"]`);
  if (handle) handle.focus();
}

// The selected run is drawn last, and runs that the filter hides first.
function drawn(run) {
  return run.id === state.selected ? 2 : isVisible(run) ? 1 : 0;
}

function runPath(run, axes, x, y) {
  const points = [];
  axes.forEach((axis, i) => {
    const part = axis.of(run);
    if (part !== null) points.push(`${x(i).toFixed(1)},${y(part).toFixed(1)}`);
  });
  const kept = isVisible(run);
  const chosen = run.id === state.selected;
  const line = svg("polyline", {
    points: points.join(" "),
    fill: "none",
    stroke: kept ? lineColour(run) : colour("grid"),
    "stroke-width": chosen ? 3.5 : runs.length > MANY ? 1 : 2,
    opacity: !kept ? 0.5 : chosen ? 1 : state.selected ? 0.25 : runs.length > MANY ? 0.45 : 0.9,
    click: () => select(run.id),
  });
  line.append(svg("title", {}, run.label));
  return line;
}

function axisGroup(axis, index, x, y, last) {
  const [low, high] = state.ranges.get(axis) || [0, 1];
  const limited = state.ranges.has(axis);
  const side = last ? { x: x + 10, "text-anchor": "start" } : { x: x - 10, "text-anchor": "end" };
  const track = svg("rect", { x: x - 10, y: y(1), width: 20, height: y(0) - y(1), class: "track" });
  track.addEventListener("pointerdown", (event) => brush(event, axis, y));
  return svg(
    "g",
    { class: "axis" },
    svg("text", { x: index ? (last ? x + LEFT : x) : 0, y: 16, "text-anchor": index ? (last ? "end" : "middle") : "start", class: "name" }, axis.label),
    svg("line", { x1: x, x2: x, y1: y(0), y2: y(1) }),
    axis.ticks.map(([part, text]) =>
      svg("text", { ...side, y: y(part) + 4, class: "tick" }, text.length > 12 ? `${text.slice(0, 11)}…` : text),
    ),
    limited ? svg("rect", { x: x - 6, y: y(high) - 2, width: 12, height: y(low) - y(high) + 4, class: "range" }) : null,
    track,
    handleOf(axis, index, "lowest", low, x, y),
    handleOf(axis, index, "highest", high, x, y),
  );
}

function handleOf(axis, index, end, part, x, y) {
  const handle = svg("rect", {
    x: x - 9,
    y: y(part) - (end === "lowest" ? 0 : 6),
    width: 18,
    height: 6,
    rx: 2,
    class: "handle",
    tabindex: 0,
    role: "slider",
    "data-handle": `${index}-${end}`,
    "aria-orientation": "vertical",
    "aria-label": `${end} ${axis.label} to keep`,
    "aria-valuemin": 0,
    "aria-valuemax": 100,
    "aria-valuenow": Math.round(100 * part),
    "aria-valuetext": axis.says(part),
  });
  handle.addEventListener("pointerdown", (event) => brush(event, axis, y, end));
  handle.addEventListener("keydown", (event) => {
    const moves = { ArrowUp: 0.05, ArrowRight: 0.05, ArrowDown: -0.05, ArrowLeft: -0.05 };
    if (event.key === "Escape") setRange(axis, [0, 1]);
    if (!(event.key in moves)) return;
    event.preventDefault();
    const range = [...(state.ranges.get(axis) || [0, 1])];
    const at = end === "lowest" ? 0 : 1;
    range[at] = Math.max(0, Math.min(1, Math.round((range[at] + moves[event.key]) * 1e6) / 1e6));
    if (range[0] <= range[1]) setRange(axis, range);
  });
  return handle;
}

function setRange(axis, range) {
  setFilter(() => {
    if (range[0] <= 0 && range[1] >= 1) state.ranges.delete(axis);
    else state.ranges.set(axis, range);
  });
}

function brush(event, axis, y, end) {
  event.preventDefault();
  const drawing = event.target.ownerSVGElement;
  const top = drawing.getBoundingClientRect().top;
  const partAt = (e) => Math.max(0, Math.min(1, (y(0) - (e.clientY - top)) / (y(0) - y(1))));
  const before = state.ranges.get(axis) || [0, 1];
  const fixed = end === "lowest" ? before[1] : end === "highest" ? before[0] : partAt(event);
  const move = (e) => {
    const range = [fixed, partAt(e)].sort((a, b) => a - b);
    setRange(axis, range[1] - range[0] < 0.02 && !end ? [0, 1] : range);
  };
  const up = () => {
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", up);
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", up);
}
