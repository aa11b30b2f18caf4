// Line charts over samples, drawn by uPlot: thinned to columns of pixels, with a cursor
// that the mouse and the arrow keys move, and with zoom.

const SLOTS = 400000; // values of all lines of a chart together
const FEW_LINES = 6; // lines whose values all fit into one readout
const charts = [];

function axisOf(label, log, size, ticks) {
  return {
    label,
    labelSize: 20,
    labelFont: "12px system-ui, sans-serif",
    font: "12px system-ui, sans-serif",
    size,
    stroke: colour("muted"),
    grid: { stroke: colour("grid"), width: 1 },
    ticks: { stroke: colour("grid"), width: 1, size: 4 },
    ...(log ? { splits: (u, i, low, high) => ticks || logSplits(low, high), filter: (u, s) => s } : {}),
    values: (u, splits) => splits.map((value) => (value === null ? "" : compact(value))),
  };
}

function compact(value) {
  const size = Math.abs(value);
  if (size >= 1e9) return number(value, 1);
  if (size >= 1e6) return `${number(value / 1e6)}M`;
  if (size >= 1e4) return `${number(value / 1e3)}k`;
  return number(value, 3);
}

function logSplits(low, high) {
  const decades = Math.log10(high / low);
  const parts = decades > 4 ? [1] : decades > 2 ? [1, 3] : decades > 0.7 ? [1, 2, 5] : null;
  if (!parts) {
    const step = 10 ** Math.floor(Math.log10((high - low) / 3));
    const found = [];
    for (let v = Math.ceil(low / step) * step; v <= high; v += step) found.push(v);
    return found.filter((_, i) => i % Math.ceil(found.length / 6) === 0);
  }
  const found = [];
  for (let decade = Math.floor(Math.log10(low)); 10 ** decade <= high; decade++) {
    for (const part of parts) {
      const value = part * 10 ** decade;
      if (value >= low && value <= high) found.push(value);
    }
  }
  const every = Math.ceil(found.length / 10);
  return found.filter((_, i) => i % every === 0);
}

function padded([low, high], log, times = 1) {
  if (log) {
    const part = low === high ? 2 : (high / low) ** (0.03 * times);
    return [low / part, high * part];
  }
  const pad = low === high ? Math.abs(low) || 1 : 0.04 * times * (high - low);
  return [low - pad, high + pad];
}

// A curve in columns of a range: the extremes of each, in the order of their position.
// Undefined is no value there, null a gap.
function binned(curve, [from, to], columns) {
  const slots = new Array(2 * columns + 2);
  const width = (to - from) / columns || 1;
  const { x: xs, y: ys } = curve;
  slots[0] = valueAt(curve, from) ?? undefined;
  slots[2 * columns + 1] = valueAt(curve, to) ?? undefined;
  let i = 0;
  while (i < xs.length && xs[i] < from) i++;
  while (i < xs.length && xs[i] <= to) {
    const column = Math.min(columns - 1, Math.floor((xs[i] - from) / width));
    const end = from + (column + 1) * width;
    let [low, high, values] = [i, i, 0];
    const first = i;
    for (; i < xs.length && xs[i] <= to && (xs[i] < end || column === columns - 1); i++) {
      if (ys[i] === null) continue;
      if (!values || ys[i] < ys[low]) low = i;
      if (!values || ys[i] > ys[high]) high = i;
      values++;
    }
    if (i === first) i++;
    const slot = 1 + 2 * column;
    if (!values) {
      slots[slot] = null;
    } else if (low === high) {
      slots[slot + (xs[low] - from - column * width > width / 2 ? 1 : 0)] = ys[low];
    } else {
      slots[slot] = ys[Math.min(low, high)];
      slots[slot + 1] = ys[Math.max(low, high)];
    }
  }
  return slots;
}

function columnPositions([from, to], columns) {
  const width = (to - from) / columns || 1;
  const xs = [from];
  for (let column = 0; column < columns; column++) {
    xs.push(from + (column + 0.25) * width, from + (column + 0.75) * width);
  }
  return [...xs, to];
}

// The frame that all charts share: an element that the keyboard can reach.
function chartFrame(label, height) {
  const plot = el("div", {
    class: "plot",
    tabindex: 0,
    role: "slider",
    "aria-label": label,
    "aria-valuemin": 0,
    "aria-valuemax": 100,
    "aria-valuenow": 0,
    "aria-valuetext": "use the arrow keys to read values",
  });
  plot.style.setProperty("min-height", `${height}px`); // so that drawing it moves nothing
  const readout = el("p", { class: "readout" });
  return { plot, readout, node: el("div", { class: "chart" }, plot, readout) };
}

function say(frame, text, part) {
  frame.readout.textContent = text;
  frame.plot.setAttribute("aria-valuetext", text || "use the arrow keys to read values");
  if (part !== undefined) frame.plot.setAttribute("aria-valuenow", Math.round(100 * part));
}

// Draws a chart when it comes near the window, and again when the state changes.
function register(chart) {
  const seen = new IntersectionObserver(
    (entries) => {
      const near = entries.some((entry) => entry.isIntersecting);
      chart.near = near;
      if (near && chart.stale) draw(chart);
    },
    { rootMargin: "600px" },
  );
  chart.stale = true;
  seen.observe(chart.node);
  charts.push(chart);
}

function draw(chart) {
  if (!chart.node.isConnected || !chart.node.clientWidth) return;
  chart.stale = false;
  chart.update();
}

function redraw(all = false) {
  for (const chart of charts) {
    chart.stale = true;
    if (chart.near || all) draw(chart);
  }
}

let resizing = 0;
addEventListener("resize", () => {
  clearTimeout(resizing);
  resizing = setTimeout(redraw, 100);
});

// options: label, yLabel, height, lines(), marks(), log(), zoom (shared by charts).
// A line has curve, name, colour, and optionally run, width, dash, alpha.
function lineChart(options) {
  const height = options.height || 300;
  const frame = chartFrame(options.label, height);
  const zoom = options.zoom || { range: null, charts: [] };
  let plotted = null;
  let lines = [];
  let range = [0, 1];
  const reset = el("button", { type: "button", class: "reset", click: () => zoomTo(null) }, "Reset zoom");
  reset.hidden = true; // a chart is drawn when it comes into view
  frame.node.append(reset);

  function zoomTo(wanted) {
    zoom.range = wanted;
    for (const chart of zoom.charts) draw(chart);
  }

  function update() {
    lines = options.lines();
    const width = frame.plot.clientWidth;
    const full = extent(lines.flatMap((line) => [line.curve.x[0], line.curve.x.at(-1)]));
    reset.hidden = !zoom.range;
    if (plotted) plotted.destroy();
    plotted = null;
    if (!full) {
      frame.plot.replaceChildren(el("p", { class: "empty" }, "No run matches the filter."));
      return;
    }
    frame.plot.replaceChildren();
    range = zoom.range || [Math.min(0, full[0]), full[1] > full[0] ? full[1] : full[0] + 1];
    const columns = Math.max(40, Math.min(Math.floor(width / 2), Math.floor(SLOTS / 2 / lines.length)));
    const data = [columnPositions(range, columns), ...lines.map((line) => binned(line.curve, range, columns))];
    const found = heightOf(data.slice(1));
    const log = Boolean(options.log && options.log(found)) && found && found[0] > 0;
    const [low, high] = padded(found || [0, 1], log);
    plotted = new uPlot(
      {
        width,
        height,
        legend: { show: false },
        scales: {
          x: { time: false, range: () => range },
          y: { distr: log ? 3 : 1, range: () => [low, high] },
        },
        axes: [axisOf(view.x, false, 40), axisOf(log ? `${options.yLabel} (logarithmic)` : options.yLabel, log, 60)],
        series: [{}, ...lines.map(seriesOf)],
        cursor: {
          points: { show: false },
          drag: { x: true, y: false, setScale: false },
          focus: { prox: -1 },
          sync: options.sync ? { key: options.sync, setSeries: false } : undefined,
        },
        hooks: {
          setSelect: [(u) => {
            if (u.select.width < 8) return;
            const ends = [u.select.left, u.select.left + u.select.width].map((at) => u.posToVal(at, "x"));
            zoomTo(ends);
          }],
          setCursor: [(u) => read(u)],
          draw: [(u) => drawMarks(u, options.marks ? options.marks() : [])],
        },
      },
      data,
      frame.plot,
    );
    plotted.over.addEventListener("dblclick", () => zoomTo(null));
    plotted.over.addEventListener("click", () => pick(plotted));
  }

  // Limits may double the height of the measured curves, and are not in view beyond that:
  // a limit of ten times the norm would draw the norm as a flat line.
  function heightOf(drawn) {
    const measured = extent(drawn.filter((_, i) => !lines[i].bare).flatMap((values) => extent(values) || []));
    if (!measured) return extent(drawn.flatMap((values) => extent(values) || []));
    const span = measured[1] - measured[0] || Math.abs(measured[1]) || 1;
    const near = (value) => value >= measured[0] - span && value <= measured[1] + span;
    const limits = drawn.filter((_, i) => lines[i].bare).map((values) => extent(values.filter(near)));
    return extent([...measured, ...limits.flatMap((ends) => ends || [])]);
  }

  function seriesOf(line) {
    const once = line.curve.x.length === 1; // no line goes through it
    const few = line.curve.x.length < 30 && lines.length <= 8 && !line.bare;
    return {
      stroke: line.colour,
      width: line.width || 1.25,
      dash: line.dash,
      alpha: line.alpha ?? 1,
      points: { show: once || few, size: once ? 9 : 4, fill: once ? line.colour : undefined },
    };
  }

  function nearest(u) {
    const { left, top } = u.cursor;
    const x = u.posToVal(left, "x");
    let best = null;
    for (const line of lines) {
      const value = valueAt(line.curve, x);
      if (value === null || value === undefined) continue;
      const distance = Math.abs(u.valToPos(value, "y") - top);
      if (!best || distance < best.distance) best = { line, value, distance };
    }
    return best;
  }

  function read(u) {
    if (u.cursor.left === null || u.cursor.left === undefined || u.cursor.left < 0) return say(frame, "");
    const x = u.posToVal(u.cursor.left, "x");
    const at = `${count(Math.round(x))} ${view.x}`;
    const part = (x - range[0]) / (range[1] - range[0]);
    if (lines.length <= FEW_LINES) {
      const values = lines
        .map((line) => [line.name, valueAt(line.curve, x)])
        .filter(([, value]) => value !== null && value !== undefined)
        .map(([name, value]) => `${name} ${number(value)}`);
      return say(frame, `${at}: ${values.join(", ") || "no value"}`, part);
    }
    const found = nearest(u);
    const chosen = lines.find((line) => line.run && line.run.id === state.selected);
    const own = chosen && valueAt(chosen.curve, x);
    const values = [
      typeof own === "number" ? `${chosen.name} ${number(own)}` : null,
      found && found.line !== chosen ? `${chosen ? "nearest " : ""}${found.line.name} ${number(found.value)}` : null,
    ];
    say(frame, `${at}: ${values.filter(Boolean).join(", ") || "no value"}`, part);
  }

  function pick(u) {
    const found = nearest(u);
    if (found && found.line.run && found.distance < 20) select(found.line.run.id);
  }

  frame.plot.addEventListener("keydown", (event) => {
    if (!plotted) return;
    const width = plotted.over.clientWidth;
    const before = plotted.cursor.left >= 0 ? plotted.cursor.left : 0;
    const far = event.shiftKey ? 10 : 1;
    const moves = {
      ArrowLeft: before - (far * width) / 100,
      ArrowRight: before + (far * width) / 100,
      Home: 0,
      End: width - 1,
    };
    if (event.key === "Escape") zoomTo(null);
    if (!(event.key in moves)) return;
    event.preventDefault();
    const left = Math.max(0, Math.min(width - 1, moves[event.key]));
    const line = lines.find((one) => one.run && one.run.id === state.selected) || lines[0];
    const value = line && valueAt(line.curve, plotted.posToVal(left, "x"));
    plotted.setCursor({ left, top: typeof value === "number" ? plotted.valToPos(value, "y") : 0 });
  });

  const chart = { node: frame.node, update };
  zoom.charts.push(chart);
  register(chart);
  return frame.node;
}

// Verdicts on curves.
function drawMarks(u, marks) {
  const ratio = devicePixelRatio;
  const context = u.ctx;
  context.save();
  context.setLineDash([]); // the last line may have left its own
  context.beginPath();
  context.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
  context.clip();
  for (const mark of marks) {
    const x = u.valToPos(mark.x, "x", true);
    const top = u.bbox.top + 10 * ratio;
    const y = mark.y === null ? top : Math.max(top, u.valToPos(mark.y, "y", true));
    const size = (mark.size || 6) * ratio;
    context.globalAlpha = mark.alpha ?? 1;
    drawSymbol(context, mark.shape, x, y, size, mark.colour, ratio);
  }
  context.restore();
}

function drawSymbol(context, shape, x, y, size, fill, ratio) {
  const paper = colour("paper");
  context.beginPath();
  if (shape === "cross") {
    for (const [pen, width] of [[paper, 5], [fill, 2.5]]) {
      context.beginPath();
      context.lineWidth = width * ratio;
      context.strokeStyle = pen;
      context.moveTo(x - size, y - size);
      context.lineTo(x + size, y + size);
      context.moveTo(x + size, y - size);
      context.lineTo(x - size, y + size);
      context.stroke();
    }
    return;
  }
  if (shape === "bars") {
    context.rect(x - size, y - size, 0.75 * size, 2 * size);
    context.rect(x + 0.25 * size, y - size, 0.75 * size, 2 * size);
  } else if (shape === "arrow") {
    context.moveTo(x + size, y);
    context.lineTo(x - 0.8 * size, y - size);
    context.lineTo(x - 0.8 * size, y + size);
    context.closePath();
  } else if (shape === "triangle") {
    context.moveTo(x, y - size);
    context.lineTo(x + size, y + 0.8 * size);
    context.lineTo(x - size, y + 0.8 * size);
    context.closePath();
  } else {
    context.arc(x, y, size, 0, 2 * Math.PI);
  }
  context.lineWidth = 1.5 * ratio;
  if (shape === "ring") {
    context.strokeStyle = fill;
    context.stroke();
    return;
  }
  context.fillStyle = fill;
  context.strokeStyle = paper;
  context.stroke();
  context.fill();
}
