// Loss and gradient norm of all runs, and the loss of each source.

const SIGNALS = { loss: "loss", grad_norm: "gradient norm" };
const MANY = 30; // with more runs, lines are thin and only a selected one is named
const logWanted = { value: null };
const smoothWanted = { value: runs.length > COLOURS };

// A logarithmic scale is the default where a run leaves the range of the others.
function logOf(found) {
  if (logWanted.value !== null) return logWanted.value;
  return Boolean(found && found[0] > 0 && found[1] / found[0] > 20);
}

function linesOf(shownRuns, curveOf, limitOf) {
  const chosen = shownRuns.find((run) => run.id === state.selected);
  const ordered = shownRuns.filter((run) => run !== chosen);
  ordered.sort((a, b) => (a.id === view.best) - (b.id === view.best));
  if (chosen) ordered.push(chosen);
  const few = shownRuns.length <= COLOURS;
  const lines = [];
  for (const run of ordered) {
    const curve = curveOf(run);
    if (!curve) continue;
    const many = shownRuns.length > MANY;
    lines.push({
      run,
      curve,
      name: run.label,
      colour: runColour(run),
      dash: isDashed(run) ? [12, 4] : undefined,
      width: run === chosen ? 2.5 : run.id === view.best && !few ? 2.2 : many ? 0.8 : 1.4,
      alpha: chosen && run !== chosen ? 0.2 : many && run.id !== view.best && run !== chosen ? 0.5 : 0.95,
    });
    const limit = limitOf && limitOf(run);
    if (limit && (run === chosen || shownRuns.length <= 3)) {
      lines.push({
        run,
        curve: limit,
        name: `limit of ${run.label}`,
        bare: true, // without a dot at each step, as it is not measured
        colour: runColour(run),
        width: 1.25,
        dash: [3, 4],
        alpha: chosen && run !== chosen ? 0.2 : 0.9,
      });
    }
  }
  return lines;
}

function marksOf(shownRuns, signal) {
  const many = shownRuns.length > MANY;
  return shownRuns.flatMap((run) => {
    const curve = curveOf(run, signal);
    if (!curve) return [];
    return run.verdicts.filter((verdict) => isAbout(verdict, signal)).map((verdict) => ({
      x: verdict.x,
      y: valueAt(curve, Math.min(verdict.x, curve.x.at(-1))),
      shape: actionOf(verdict).shape,
      colour: colour(actionOf(verdict).colour),
      size: many && !(run.id === state.selected) ? 3.5 : 6,
      alpha: faded(run) ? 0.25 : 1,
    }));
  });
}

// A verdict is marked on the charts of its signals. If it names none, as in older traces,
// it is marked on all; if none of them has a chart, as an evaluation's metric, on the loss.
function isAbout(verdict, signal) {
  const charted = verdict.signals.filter((name) => name in SIGNALS);
  if (!verdict.signals.length) return true;
  return charted.length ? charted.includes(signal) : signal === "loss";
}

// The smoothed curve of a run where it is wanted, except of the selected run.
function curveOf(run, signal) {
  const means = run.means[signal];
  return smoothWanted.value && means && run.id !== state.selected ? means : run.curves[signal];
}

function curvesSection() {
  const signals = Object.keys(SIGNALS).filter((name) => runs.some((run) => run.curves[name]));
  if (!signals.length) return null;
  const zoom = { range: null, charts: [] };
  const log = el("input", {
    type: "checkbox",
    change: () => {
      logWanted.value = log.checked;
      redraw();
    },
  });
  log.checked = logOf(extent(runs.flatMap((run) => (run.curves.loss ? extent(curveOf(run, "loss").y) || [] : []))));
  logWanted.value = log.checked;
  const smooth = el("input", {
    type: "checkbox",
    change: () => {
      smoothWanted.value = smooth.checked;
      redraw();
    },
  });
  smooth.checked = smoothWanted.value;
  const verdicts = runs.flatMap((run) => run.verdicts.map((verdict) => [run, verdict]));
  return el(
    "section",
    { id: "curves" },
    el("h2", {}, "Loss and gradient norm"),
    el("div", { class: "controls" }, el("label", {}, log, " logarithmic scale"),
      runs.some((run) => run.means.loss) ? el("label", {}, smooth, " smoothed: means over 1% of a run, except of the selected run") : null,
    ),
    curveLegend(),
    signals.map((name) =>
      el(
        "figure",
        {},
        el("figcaption", {}, SIGNALS[name]),
        lineChart({
          label: `${SIGNALS[name]} over ${view.x}, one line a run. Arrow keys read values.`,
          yLabel: SIGNALS[name],
          height: name === "loss" ? 320 : 260,
          zoom,
          sync: "curves",
          log: () => log.checked,
          lines: () => linesOf(visibleRuns(), (run) => curveOf(run, name), (run) => run.limits[name]),
          marks: () => marksOf(visibleRuns(), name),
        }),
      ),
    ),
    tableBehind("Loss and gradient norm as a table", curveHeadings(signals), () =>
      visibleRuns().map((run) => curveRow(run, signals)),
    ),
    verdicts.length
      ? tableBehind("Verdicts as a table", ["run", "verdict", "step", "samples", "rule", "reason"], () =>
          verdicts
            .filter(([run]) => isVisible(run))
            .map(([run, v]) => [
              run.label,
              actionOf(v).word.toLowerCase(),
              count(v.step),
              count(v.samples),
              v.rule,
              v.reason,
            ]),
        )
      : null,
  );
}

function curveLegend() {
  const some = (action) => runs.some((run) => run.verdicts.some((v) => v.action === action));
  const limited = runs.some((run) => Object.keys(run.limits).length);
  return el(
    "div",
    { class: "legend" },
    colouredByScore ? scoreLegend() : null,
    runs.length <= MOST_COLOURS
      ? runs.map((run) => el("span", { class: "key" }, dot(run), ` ${run.label}`))
      : null,
    runs.length > COLOURS && view.best ? el("span", { class: "key" }, `thick: the best run${runs.length <= MOST_COLOURS ? "; hollow dot: dashed line" : ""}`) : null,
    Object.entries(ACTIONS)
      .filter(([action]) => some(action))
      .map(([, { icon, key, colour: name }]) =>
        el("span", { class: "key" }, el("b", { class: name, "aria-hidden": "true" }, icon), ` ${key}`),
      ),
    limited
      ? el(
          "span",
          { class: "key" },
          el("span", { class: "dashes", "aria-hidden": "true" }),
          runs.length <= 3
            ? " limit of the divergence rule for the run of this colour: a run that stays above its own limit has diverged; not in view where it is far above"
            : " limit of the divergence rule, for the selected run; not in view where it is far above",
        )
      : null,
    el("span", { class: "drag" }, "Click a line to select a run. Drag to zoom."),
  );
}

const SHARES = [0.1, 0.25, 0.5, 0.75, 1];

function curveHeadings(signals) {
  return [
    "run",
    ...signals.flatMap((name) => SHARES.map((part) => `${SIGNALS[name]} at ${Math.round(100 * part)}%`)),
    ...signals.flatMap((name) => [`lowest ${SIGNALS[name]}`, `highest ${SIGNALS[name]}`]),
  ];
}

function curveRow(run, signals) {
  const at = (curve, part) => {
    if (!curve) return "–";
    const [first, last] = [curve.x[0], curve.x.at(-1)];
    return number(valueAt(curve, first + part * (last - first)));
  };
  return [
    run.label,
    ...signals.flatMap((name) => SHARES.map((part) => at(run.curves[name], part))),
    ...signals.flatMap((name) => (run.curves[name] ? extent(run.curves[name].y).map((v) => number(v)) : ["–", "–"])),
  ];
}

// One small chart a source, so that a source can be compared over the runs.
function sourcesSection() {
  const measured = (kind, least) =>
    [...new Set(runs.flatMap((run) => Object.keys(run.sources[kind]).filter((name) => run.sources[kind][name].x.length >= least)))].sort();
  const drawable = (kind) => measured(kind, 2);
  const kind = drawable("training").length ? "training" : "held_out";
  const names = drawable(kind);
  if (!names.length) return null;
  const all = measured(kind, 1);
  const once = all.filter((name) => !names.includes(name));
  const held = kind === "training" && drawable("held_out").length;
  const what = kind === "training" ? "training loss" : "held-out loss";
  return el(
    "section",
    { id: "sources" },
    el("h2", {}, "Loss by source"),
    el(
      "p",
      {},
      `The ${what} of each source of the data, over all runs.`,
      held ? " The panel of a run adds its held-out loss." : "",
      runs.some((run) => names.some((name) => run.sources[kind][name]?.x.length === 1))
        ? " A large dot is the only measurement of a run."
        : "",
      once.length ? ` Measured at most once a run, so without a chart: ${once.join(", ")}; the table has the values.` : "",
    ),
    el(
      "div",
      { class: "grid" },
      names.map((name) =>
        el(
          "figure",
          {},
          el("figcaption", {}, name),
          lineChart({
            label: `The ${what} of source ${name} over ${view.x}, one line a run.`,
            yLabel: "loss",
            height: 220,
            log: (found) => logWanted.value && found && found[0] > 0,
            lines: () => linesOf(visibleRuns(), (run) => run.sources[kind][name]),
          }),
        ),
      ),
    ),
    tableBehind("Loss by source as a table", ["run", ...all.flatMap((n) => [`${n}, first`, `${n}, last`])], () =>
      visibleRuns().map((run) => [
        run.label,
        ...all.flatMap((name) => {
          const curve = run.sources[kind][name];
          if (!curve) return ["–", "–"];
          return [number(curve.y[0]), curve.x.length === 1 ? "measured once" : number(curve.y.at(-1))];
        }),
      ]),
    ),
  );
}
