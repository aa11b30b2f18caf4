// One panel a run, filled when it is opened.

function panelsSection() {
  const section = el("section", { id: "panels" }, el("h2", {}, "Each run"));
  const panels = [];
  const add = (some) => {
    const made = some.map((run) => panelOf(run));
    panels.push(...made);
    section.append(...made);
    filterPanels();
  };
  const filterPanels = () => {
    panels.forEach((panel, i) => (panel.hidden = !isVisible(runs[i])));
  };
  listeners.push((what) => {
    if (what === "filter") filterPanels();
  });
  add(runs.slice(0, AT_ONCE));
  if (runs.length === 1) panels[0].open = true;
  if (runs.length > AT_ONCE) later(() => add(runs.slice(AT_ONCE)));
  return section;
}

function panelOf(run) {
  const panel = el(
    "details",
    { class: "panel", id: `panel-${position.get(run.id)}` },
    el(
      "summary",
      {},
      dot(run),
      el("span", { class: "name" }, run.label),
      badge(run),
      warnings(run),
      run.score === null ? null : el("span", { class: "score" }, `${view.metric} ${number(run.score)}`),
      run.id === view.best && runs.length > 1 ? el("span", { class: "star" }, "★ best") : null,
    ),
  );
  panel.addEventListener("toggle", () => {
    if (panel.open) fillPanel(panel, run);
  });
  return panel;
}

// On paper, the best run and the runs that a rule stopped or warned about are shown too.
const MOST_PRINTED = 8;
let openedForPrint = [];

function openForPrint() {
  const told = (run) => run.id === view.best || run.verdicts.length || run.status === "terminated" || run.status === "failed";
  const shownRuns = visibleRuns().filter(told);
  shownRuns.sort((a, b) => (b.id === view.best) - (a.id === view.best));
  for (const run of shownRuns.slice(0, MOST_PRINTED)) {
    const panel = document.getElementById(`panel-${position.get(run.id)}`);
    if (!panel || panel.open) continue;
    fillPanel(panel, run);
    panel.open = true;
    openedForPrint.push(panel);
  }
}

function closeAfterPrint() {
  for (const panel of openedForPrint) panel.open = false;
  openedForPrint = [];
}

function fillPanel(panel, run) {
  if (panel.childElementCount === 1) panel.append(panelBody(run));
}

function openPanel(run) {
  const panel = document.getElementById(`panel-${position.get(run.id)}`);
  fillPanel(panel, run);
  panel.open = true;
  panel.scrollIntoView({ block: "start" });
  panel.querySelector("summary").focus({ preventScroll: true });
}

function panelBody(run) {
  return el(
    "div",
    { class: "panel-body" },
    el("div", { class: "columns" }, factsOf(run), el("div", {}, verdictsOf(run), findingsOf(run), memoryOf(run))),
    runCharts(run),
  );
}

function factsOf(run) {
  const facts = [
    ...run.scores.map((s) => ["score", `${s.metric} ${number(s.value)}${s.base === null ? "" : `, ${number(s.base)} before training`}${s.examples ? `; ${s.examples}` : ""}${run.status === "terminated" && s.origin === "run" ? "; scored where the run stopped" : ""}`]),
    ["steps", `${count(run.step)} of ${count(run.max_steps)}${run.saved ? `, ${count(run.saved)} (${share(run.saved, run.max_steps)}) saved by stopping` : ""}`],
    ["samples seen", count(run.samples)],
    ["time", `${duration(run.seconds)}${run.step_s ? `, ${number(run.step_s, 3)} s per step` : ""}${run.device ? ` on ${run.device}` : ""}`],
    ["started", run.started],
    run.batch ? ["batch", batchText(run)] : null,
    run.noise ? ["noise scale", run.noise.says] : null,
    run.gaps ? ["not finite", `loss or gradient norm in ${count(run.gaps)} of ${plural(run.step, "step")}`] : null,
    ["model", run.model],
    ["training", run.adapter],
    run.optimizer ? ["optimizer", [run.optimizer, run.rate === null ? null : `learning rate ${number(run.rate)}`, run.schedule ? `schedule ${run.schedule}` : null].filter(Boolean).join(", ")] : null,
    run.rows ? ["data", `${plural(run.rows, "row")}${run.packing ? ", packed" : ""}${run.sequence_len ? `, sequence_len ${run.sequence_len}` : ""}`] : null,
    run.sources.apart ? ["sources", run.sources.apart] : null,
    view.studies.length > 1 ? ["study", run.study] : null,
    run.tags.length ? ["tags", run.tags.join(", ")] : null,
    ["id", run.id],
    ["output", run.output],
    run.no_trace ? ["trace", "not readable here: curves are means over 16 steps"] : null,
  ].filter(Boolean);
  return el(
    "div",
    {},
    differencesOf(run),
    el("h3", {}, "Facts"),
    el("dl", {}, facts.map(([name, text]) => [el("dt", {}, name), el("dd", {}, text)])),
  );
}

function batchText(run) {
  const [micro, accumulation, ranks] = run.batch_of;
  const across = ranks > 1 ? ` x ${ranks} GPUs or processes` : "";
  return `${plural(run.batch, "sample")} per optimizer step = micro_batch_size ${micro} x gradient_accumulation_steps ${accumulation}${across}`;
}

function differencesOf(run) {
  if (!view.keys.length) return null;
  const rows = view.keys.map((key, i) => [key.key, shown(run.values[i])]);
  return [
    el("h3", {}, "Settings that differ between the runs"),
    el("table", { class: "small", "aria-label": "Settings that differ" }, el("tbody", {}, rows.map(([key, value]) => el("tr", {}, el("th", { scope: "row" }, key), el("td", {}, value))))),
  ];
}

// A stop takes effect at the next log.
function ended(run, verdict) {
  const late = verdict.action === "stop" && run.step > verdict.step;
  return late ? ` The run ended at step ${count(run.step)}.` : null;
}

function verdictsOf(run) {
  if (!run.verdicts.length && !run.reason) return null;
  const items = run.verdicts.map((verdict) =>
    el(
      "li",
      { class: `is-${actionOf(verdict).colour}` },
      el("b", {}, `${actionOf(verdict).icon} ${actionOf(verdict).word} by the rule ${verdict.rule}, found at step ${count(verdict.step)} (${count(verdict.samples)} samples)`),
      el("br"),
      `${verdict.found} Measured: ${verdict.reason}.`,
      ended(run, verdict),
    ),
  );
  const alone = run.reason && !run.verdicts.some((v) => v.action === "stop" || v.action === "park");
  return [
    el("h3", {}, "What the rules found"),
    el("ul", { class: "verdicts" }, items, alone ? el("li", { class: "is-stop" }, run.reason) : null),
  ];
}

function findingsOf(run) {
  if (!run.findings) return null;
  return [
    el("h3", {}, "Findings of sftguide check"),
    run.findings.length && runs.length > 1
      ? el("p", {}, "General advice on the config, from published experience. What the runs of this study measured counts more.")
      : null,
    run.findings.length
      ? el(
          "ul",
          { class: "findings" },
          run.findings.map((f) =>
            el("li", {}, el("b", {}, f.weight === "wrong" ? "Wrong: " : f.weight === "against" ? "In general advised against: " : "Note: "), f.text, el("small", {}, ` (${f.source}; ${f.id})`)),
          ),
        )
      : el("p", {}, "None."),
  ];
}

function memoryOf(run) {
  const memory = run.memory;
  if (!memory) return null;
  return [
    el("h3", {}, memory.measured ? "Memory, planned and measured" : "Planned memory"),
    el("p", {}, `Planned peak ${bytes(memory.peak)} on one GPU, in ${memory.peak_at}.`, memory.measured ? ` Measured: torch held up to ${bytes(memory.measured)}, without CUDA's own context; the plan is ${signed(memory.peak / memory.measured - 1)} against it.` : ""),
    el("table", { class: "small", "aria-label": "Planned memory by part" }, el("tbody", {}, memory.parts.map(([name, size]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", { class: "number" }, bytes(size)))))),
    memory.not_planned.length ? el("p", {}, `Not planned: ${memory.not_planned.join(", ")}.`) : null,
  ];
}

function signed(part) {
  return `${part > 0 ? "+" : ""}${(100 * part).toFixed(1)}%`;
}

const EVALUATION_COLOURS = [2, 6, 4]; // unlike the run's own curve, and no colour of a bad score

function limitWords(limit, curve) {
  const [measured, lowest] = [extent(curve.y), extent(limit.y)];
  const above = measured && lowest && lowest[0] > 2 * measured[1] - measured[0];
  return above
    ? `; the limit of the divergence rule is above this chart, at ${number(lowest[0])} or more`
    : "; dashed: the limit of the divergence rule, which a diverged run stays above";
}

function runCharts(run) {
  const zoom = { range: null, charts: [] };
  const evaluations = Object.keys(run.evaluations);
  const own = (name) => {
    const curve = run.curves[name];
    if (!curve) return null;
    const limit = run.limits[name];
    const lines = () => [
      { curve, name: SIGNALS[name], colour: colour("accent"), width: 1.5 },
      limit ? { curve: limit, name: "limit", bare: true, colour: colour("stop"), dash: [5, 5], width: 1.25 } : null,
      ...(name === "loss" ? Object.entries(run.evaluations).map(([metric, c], i) => ({ curve: c, name: metric, colour: colour(`run-${EVALUATION_COLOURS[i % EVALUATION_COLOURS.length]}`), width: 2 })) : []),
    ].filter(Boolean);
    const evaluated = name === "loss" && evaluations.length;
    return el(
      "figure",
      {},
      el("figcaption", {}, SIGNALS[name], evaluated ? `, and the evaluation loss (thick: ${evaluations.join(", ")})` : "", limit ? limitWords(limit, curve) : ""),
      lineChart({
        label: `${SIGNALS[name]} of ${run.label} over ${view.x}. Arrow keys read values.`,
        yLabel: SIGNALS[name],
        height: 220,
        zoom,
        log: (found) => Boolean(found && found[0] > 0 && found[1] / found[0] > 20),
        lines,
        marks: () => marksOf([run], name),
      }),
    );
  };
  return el("div", { class: "grid" }, own("loss"), own("grad_norm"), runSources(run), runPrediction(run), runNoise(run));
}

function runSources(run) {
  const { training, held_out: held } = run.sources;
  const names = [...new Set([...Object.keys(training), ...Object.keys(held)])].sort();
  if (!names.length) return null;
  const lines = () => [
    ...names.filter((name) => training[name]).map((name) => ({ curve: training[name], name, colour: colour(`run-${names.indexOf(name) % COLOURS}`), width: 1.5 })),
    ...Object.entries(held).map(([name, curve]) => ({
      curve,
      name: `${name}, held out`,
      colour: colour(`run-${Math.max(0, names.indexOf(name)) % COLOURS}`),
      width: 1.5,
      dash: [5, 5],
    })),
  ];
  const keys = names.map((name, i) => {
    const mark = el("span", { class: "dot", "aria-hidden": "true" });
    const paint = () => mark.style.setProperty("color", colour(`run-${i % COLOURS}`));
    paint();
    listeners.push((what) => what === "theme" && paint());
    return el("span", { class: "key" }, mark, ` ${name}`);
  });
  return el(
    "figure",
    {},
    el("figcaption", {}, "loss by source", Object.keys(held).length ? " (dashed: held out)" : ""),
    el("div", { class: "legend" }, keys),
    lineChart({
      label: `Loss by source of ${run.label} over ${view.x}. Arrow keys read values.`,
      yLabel: "loss",
      height: 220,
      log: (found) => Boolean(found && found[0] > 0 && found[1] / found[0] > 20),
      lines,
    }),
  );
}

function runPrediction(run) {
  if (!run.prediction || run.prediction.length < 2) return null;
  const ends = [run.prediction[0].share, run.prediction.at(-1).share];
  return el(
    "figure",
    {},
    el("figcaption", {}, `predicted ${view.metric} with its 95% interval; dashed: the actual score`),
    scatterChart({
      label: `Predicted ${view.metric} of ${run.label} by share of the run.`,
      xLabel: "share of the run in %",
      yLabel: view.metric,
      height: 220,
      points: () =>
        run.prediction.map((look) => ({
          x: 100 * look.share,
          y: look.predicted,
          ys: [look.low, look.high],
          colour: colour("accent"),
          text: `at ${Math.round(100 * look.share)}%: ${number(look.predicted)} (${number(look.low)} to ${number(look.high)}), by ${plural(look.runs, "run")}`,
        })),
      lines: () => [ends.map((part) => ({ x: 100 * part, y: run.score }))],
    }),
  );
}

function runNoise(run) {
  if (!run.noise || !run.noise.over) return null;
  const high = Math.max(...run.noise.over.map((look) => look.high ?? look.scale));
  return el(
    "figure",
    {},
    el("figcaption", {}, "gradient noise scale with its 95% interval; dashed: the batch size"),
    scatterChart({
      label: `Gradient noise scale of ${run.label} over ${view.x}.`,
      xLabel: view.x,
      yLabel: "samples",
      yLog: true,
      height: 220,
      points: () => [
        ...run.noise.over
          .filter((look) => look.scale > 0)
          .map((look) => ({
            x: look.x,
            y: look.scale,
            ys: [Math.max(look.low || 0, look.scale / 100), look.high ?? high],
            colour: colour("accent"),
            text: `${count(look.x)} ${view.x}: ${number(look.scale)} samples (${number(look.low)} to ${look.high === null ? "unbounded" : number(look.high)})`,
          })),
      ],
      lines: () => [[run.noise.over[0], run.noise.over.at(-1)].map((look) => ({ x: look.x, y: run.noise.batch }))],
    }),
  );
}
