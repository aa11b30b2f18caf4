// Charts of one symbol a run: the map, predictions, and noise scales.

const MOST_NAMED = 12; // more names would hide one another

// options: label, xLabel, yLabel, xLog, yLog, height, points(), named (whether the runs of
// few points are named), and lines(): two points each, and optionally a text. A point has x, y, colour, text, shape, and optionally run, xs or ys (an interval).
function scatterChart(options) {
  const height = options.height || 340;
  const frame = chartFrame(options.label, height);
  let plotted = null;
  let points = [];
  let current = -1;

  function update() {
    points = options.points();
    if (plotted) plotted.destroy();
    plotted = null;
    frame.plot.replaceChildren();
    if (!points.length) {
      frame.plot.append(el("p", { class: "empty" }, "No run matches the filter."));
      return;
    }
    const guides = (options.lines ? options.lines() : []).flatMap(([one, other]) => [one, other]);
    const xs = padded(extent([...points, ...guides].flatMap((p) => [p.x, ...(p.xs || [])])), options.xLog, 2);
    const ys = padded(extent([...points, ...guides].flatMap((p) => [p.y, ...(p.ys || [])])), options.yLog, 2);
    const ticks = { x: fewValues(options.xLog, "x"), y: fewValues(options.yLog, "y") };
    plotted = new uPlot(
      {
        width: frame.plot.clientWidth,
        height,
        legend: { show: false },
        scales: {
          x: { time: false, distr: options.xLog ? 3 : 1, range: () => xs },
          y: { distr: options.yLog ? 3 : 1, range: () => ys },
        },
        axes: [axisOf(onScale(options.xLabel, options.xLog), options.xLog, 40, ticks.x), axisOf(onScale(options.yLabel, options.yLog), options.yLog, 60, ticks.y)],
        series: [{}, { paths: () => null, points: { show: false } }],
        cursor: { points: { show: false }, drag: { x: false, y: false } },
        hooks: { draw: [drawPoints], setCursor: [hover] },
      },
      [xs, ys],
      frame.plot,
    );
    plotted.over.addEventListener("click", () => {
      const found = nearest();
      if (found && found.run) select(found.run.id);
    });
  }

  // A few values of a setting, such as batch sizes, are themselves the ticks.
  function fewValues(log, name) {
    if (!log || !options.ticksAtValues || !options.ticksAtValues.includes(name)) return null;
    const values = [...new Set(points.map((p) => p[`tick_${name}`] ?? p[name]))].sort((a, b) => a - b);
    const near = values.some((value, i) => i && value / values[i - 1] < 1.3);
    return values.length <= 12 && !near ? values : null;
  }

  function drawPoints(u) {
    const ratio = devicePixelRatio;
    const at = (p) => [u.valToPos(p.x, "x", true), u.valToPos(p.y, "y", true)];
    u.ctx.save();
    u.ctx.beginPath();
    u.ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
    u.ctx.clip();
    for (const [one, other, text] of options.lines ? options.lines() : []) {
      u.ctx.setLineDash([6 * ratio, 5 * ratio]);
      stroke(u.ctx, at(one), at(other), colour("muted"), 1.25 * ratio);
      u.ctx.setLineDash([]);
      if (text) write(u, text, below(between(at(one), at(other), 0.4), 14 * ratio), colour("muted"));
    }
    for (const p of points) {
      const thin = points.length > 60 ? 0.35 : 0.8;
      u.ctx.globalAlpha = faded(p.run) ? 0.1 : thin;
      for (const end of p.xs || []) stroke(u.ctx, at(p), at({ ...p, x: end }), p.colour, 1.25 * ratio);
      for (const end of p.ys || []) stroke(u.ctx, at(p), at({ ...p, y: end }), p.colour, 1.25 * ratio);
    }
    points.forEach((p, i) => {
      const [x, y] = at(p);
      const chosen = i === current || (p.run && p.run.id === state.selected);
      u.ctx.globalAlpha = faded(p.run) ? 0.25 : 1;
      const size = (points.length > 100 ? 4 : 6) * (chosen ? 1.6 : 1) * ratio;
      drawSymbol(u.ctx, p.shape || "disc", x, y, size, p.colour, ratio);
      if (options.named && p.run && points.length <= MOST_NAMED) write(u, p.run.label, [x, y + (y < u.bbox.top + 20 * ratio ? 12 : -12) * ratio], colour("ink"));
    });
    u.ctx.restore();
  }

  // Text beside a place, on the side where there is room; long names are cut.
  function write(u, text, [x, y], pen) {
    const { left, width } = u.bbox;
    const ratio = devicePixelRatio;
    u.ctx.font = `${12 * ratio}px system-ui, sans-serif`;
    u.ctx.textBaseline = "middle";
    const atRight = x > left + 0.75 * width;
    u.ctx.textAlign = atRight ? "right" : "left";
    const short = text.length > 40 ? `${text.slice(0, 39)}…` : text;
    const place = [x + (atRight ? -8 : 8) * ratio, y];
    u.ctx.lineWidth = 4 * ratio;
    u.ctx.strokeStyle = colour("paper");
    u.ctx.strokeText(short, ...place);
    u.ctx.fillStyle = pen;
    u.ctx.fillText(short, ...place);
  }

  function between([x1, y1], [x2, y2], part) {
    return [x1 + part * (x2 - x1), y1 + part * (y2 - y1)];
  }

  function below([x, y], distance) {
    return [x, y + distance];
  }

  function stroke(context, [x1, y1], [x2, y2], pen, width) {
    context.beginPath();
    context.strokeStyle = pen;
    context.lineWidth = width;
    context.moveTo(x1, y1);
    context.lineTo(x2, y2);
    context.stroke();
  }

  function nearest() {
    const { left, top } = plotted.cursor;
    if (left === undefined || left < 0) return null;
    let best = null;
    for (const p of points) {
      const away = Math.hypot(plotted.valToPos(p.x, "x") - left, plotted.valToPos(p.y, "y") - top);
      if (away < 24 && (!best || away < best.away)) best = { ...p, away };
    }
    return best;
  }

  function hover() {
    const found = nearest();
    say(frame, found ? found.text : "");
  }

  frame.plot.addEventListener("keydown", (event) => {
    const moves = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    if (!points.length) return;
    if (event.key === "Enter" && points[current] && points[current].run) select(points[current].run.id);
    if (!(event.key in moves)) return;
    event.preventDefault();
    current = (current + moves[event.key] + points.length) % points.length;
    plotted.redraw();
    say(frame, points[current].text, current / Math.max(1, points.length - 1));
  });

  register({ node: frame.node, update });
  return frame.node;
}

function faded(run) {
  return Boolean(run && state.selected && run.id !== state.selected);
}

// Symbols of runs at the same place are moved apart, a little and always alike.
function spread(points, xLog, yLog) {
  const places = new Map();
  for (const p of points) {
    const place = `${p.x} ${p.y}`;
    places.set(place, [...(places.get(place) || []), p]);
  }
  const shift = (value, log, part, range) => (log ? value * 10 ** (part * Math.log10(range[1] / range[0] || 1)) : value + part * (range[1] - range[0]));
  const xRange = extent(points.map((p) => p.x));
  const yRange = extent(points.map((p) => p.y));
  for (const p of points) [p.tick_x, p.tick_y] = [p.x, p.y];
  for (const together of places.values()) {
    if (together.length < 2) continue;
    together.forEach((p, i) => {
      const angle = i * 2.4;
      const distance = 0.008 * Math.sqrt(i);
      p.x = shift(p.x, xLog, distance * Math.cos(angle), xRange);
      p.y = shift(p.y, yLog, 1.6 * distance * Math.sin(angle), yRange);
    });
  }
  return points;
}

function onScale(label, log) {
  return log ? `${label} (logarithmic)` : label;
}
