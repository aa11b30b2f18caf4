// The sections of the page, in order. What was not recorded is left out.

function headerOf() {
  const models = [...new Set(runs.map((run) => run.model))];
  const name = view.studies.length === 1 ? `Study ${view.studies[0]}` : `${view.studies.length} studies`;
  document.title = `${name} – sftguide report`;
  const goal = view.goal === "max" ? "higher is better" : "lower is better";
  return el(
    "div",
    { class: "title" },
    el(
      "div",
      {},
      el("h1", {}, name),
      el(
        "p",
        { class: "sub" },
        `${plural(runs.length, "run")} of ${models.length === 1 ? models[0] : `${models.length} models`}`,
        view.metric ? ` · score: ${view.metric} (${goal})` : "",
        ` · made ${view.made} by sftguide ${view.version}`,
      ),
    ),
    themeSwitch(),
  );
}

function tile(value, name) {
  return el("div", { class: "tile" }, el("b", {}, value), el("span", {}, name));
}

function glanceSection() {
  const best = runById.get(view.best);
  return el(
    "section",
    { id: "glance" },
    el("h2", {}, "At a glance"),
    el(
      "div",
      { class: "tiles" },
      view.statuses.map(([status, amount]) => tile(count(amount), status === "terminated" ? "stopped by a rule" : status)),
      best ? tile(number(best.score), runs.length > 1 ? `best ${view.metric}` : view.metric) : null,
      view.saved ? tile(share(view.saved, view.planned), `of optimizer steps not trained (${count(view.saved)})`) : null,
    ),
    el("ul", { class: "glance" }, view.glance.map((sentence) => el("li", {}, sentence))),
    runs.length > 1 ? filterBar() : null,
    runsTable(),
    selectionBar(), // here in the order of the tab key, and always in view
  );
}

function selectionBar() {
  const bar = el("div", { class: "selection", "aria-live": "polite" });
  const show = () => {
    const run = runById.get(state.selected);
    bar.hidden = !run;
    if (!run) return bar.replaceChildren();
    bar.replaceChildren(
      dot(run),
      el("b", {}, run.label),
      badge(run),
      run.score === null ? "" : `${view.metric} ${number(run.score)}`,
      el("button", { type: "button", click: () => openPanel(run) }, "Open its panel"),
      el("button", { type: "button", click: () => select(run.id) }, "Clear selection"),
    );
  };
  listeners.push((what) => what === "selected" && show());
  listeners.push((what) => what === "filter" && show());
  show();
  return bar;
}

// Batch size against learning rate where both vary, else the score over the one that does.
function mapSection() {
  const placedRuns = runs.filter((run) => run.rate > 0 && run.batch > 0);
  const rates = new Set(placedRuns.map((run) => run.rate));
  const batches = new Set(placedRuns.map((run) => run.batch));
  if (rates.size < 2 && batches.size < 2) return null;
  const both = rates.size > 1 && batches.size > 1;
  const byRate = rates.size > 1;
  if (!both && !scoreRange) return null;
  const log = (run) => (byRate ? run.rate : run.batch);
  const text = (run) =>
    `${run.label}: learning rate ${number(run.rate)}, batch ${count(run.batch)}, ` +
    (run.score === null ? statusWord(run.status) : `${view.metric} ${number(run.score)}`);
  const points = () => {
    const kept = visibleRuns().filter((run) => run.rate > 0 && run.batch > 0 && (both || run.score !== null));
    const found = kept.map((run) => ({
      run,
      x: both ? run.rate : log(run),
      y: both ? run.batch : run.score,
      colour: !both ? runColour(run) : run.score !== null ? scoreColour(run.score) : colour(run.status === "terminated" ? "stop" : "unscored"),
      shape: run.status === "terminated" ? "cross" : run.status === "parked" ? "bars" : run.score !== null ? "disc" : "ring",
      text: text(run),
    }));
    return both ? spread(found, true, true) : found;
  };
  const title = both ? "Batch size, learning rate and score" : `Score over ${byRate ? "learning rate" : "batch size"}`;
  const unscored = runs.filter((run) => run.score === null).length;
  const stopped = placedRuns.filter((run) => run.status === "terminated");
  const stoppedColours = [
    both && stopped.some((run) => run.score !== null) ? ", in the colour of its score" : "",
    both && stopped.some((run) => run.score === null) ? ", red without a score" : "",
  ].join("");
  return el(
    "section",
    { id: "map" },
    el("h2", {}, title),
    view.unequal && batches.size > 1 ? el("p", {}, view.unequal) : null,
    both ? null : el("p", {}, `The ${byRate ? "batch size" : "learning rate"} is the same in all runs.`, unscored ? ` ${plural(unscored, "run")} without a score ${unscored === 1 ? "is" : "are"} not on this chart.` : ""),
    el(
      "div",
      { class: "legend" },
      both || colouredByScore ? scoreLegend(both && runs.some((run) => run.score === null && run.status !== "terminated"), "ring") : null,
      !both && runs.length <= MOST_COLOURS ? runs.map((run) => el("span", { class: "key" }, dot(run), run.label)) : null,
      placedRuns.some((run) => run.status === "terminated" && (both || run.score !== null))
        ? el("span", { class: "key" }, el("b", {}, "✕"), ` stopped by a rule${stoppedColours}`)
        : null,
      both && placedRuns.some((run) => run.status === "parked")
        ? el("span", { class: "key" }, el("b", { class: "warn" }, "❚❚"), " parked")
        : null,
    ),
    el(
      "figure",
      {},
      scatterChart({
        label: `${title}, one symbol a run. Arrow keys go from run to run.`,
        xLabel: byRate ? "learning rate" : "batch size in samples",
        yLabel: both ? "batch size in samples" : view.metric,
        xLog: true,
        yLog: both,
        ticksAtValues: true,
        points,
      }),
    ),
    tableBehind(`${title} as a table`, ["run", "learning rate", "batch size", view.metric || "score", "status"], () =>
      visibleRuns().map((run) => [run.label, number(run.rate), count(run.batch), number(run.score), statusWord(run.status)]),
    ),
  );
}

function predictionSection() {
  const predicted = runs.filter((run) => run.prediction && run.score !== null);
  if (predicted.length < 3) return null;
  const looks = [...new Set(predicted.flatMap((run) => run.prediction.map((look) => look.share)))].sort();
  let wanted = looks.includes(0.35) ? 0.35 : looks[0];
  const told = el("p", { "aria-live": "polite" });
  const lookOf = (run) => run.prediction.find((look) => look.share === wanted);
  const tell = () => {
    const found = visibleRuns().filter((run) => predicted.includes(run) && lookOf(run));
    const inside = found.filter((run) => lookOf(run).low <= run.score && run.score <= lookOf(run).high);
    told.textContent =
      `At ${Math.round(100 * wanted)}% of the run, the 95% interval held the actual score in ` +
      `${count(inside.length)} of ${plural(found.length, "run")}.`;
  };
  const choose = el(
    "select",
    { change: () => { wanted = Number(choose.value); tell(); redraw(); } },
    looks.map((look) => el("option", { value: look, selected: look === wanted }, `${Math.round(100 * look)}%`)),
  );
  listeners.push((what) => what === "filter" && tell());
  tell();
  const shownRuns = () => visibleRuns().filter((run) => predicted.includes(run) && lookOf(run));
  return el(
    "section",
    { id: "prediction" },
    el("h2", {}, "Predicted and actual scores"),
    el("p", {}, "For each finished run: the score that the runs finished before it predict, from its loss at one share of the run, with the 95% interval. On the dashed line, the prediction equals the actual score."),
    el("div", { class: "controls" }, el("label", {}, "Share of the run ", choose)),
    told,
    el(
      "figure",
      {},
      scatterChart({
        label: `Predicted and final ${view.metric}, one symbol a run. Arrow keys go from run to run.`,
        xLabel: `predicted ${view.metric}`,
        yLabel: `actual ${view.metric}`,
        points: () =>
          shownRuns().map((run) => {
            const look = lookOf(run);
            return {
              run,
              x: look.predicted,
              y: run.score,
              xs: [look.low, look.high],
              colour: runColour(run),
              text: `${run.label}: predicted ${number(look.predicted)} (${number(look.low)} to ${number(look.high)}) by ${plural(look.runs, "run")}, actual ${number(run.score)}`,
            };
          }),
        lines: () => {
          const ends = extent(shownRuns().flatMap((run) => [run.score, lookOf(run).predicted]));
          return ends ? [ends.map((v) => ({ x: v, y: v }))] : [];
        },
      }),
    ),
    tableBehind("Predictions as a table", ["run", "predicted", "low", "high", "actual", "by"], () =>
      shownRuns().map((run) => {
        const look = lookOf(run);
        return [run.label, number(look.predicted), number(look.low), number(look.high), number(run.score), plural(look.runs, "run")];
      }),
    ),
  );
}

function noiseSection() {
  const measured = runs.filter((run) => run.noise && run.noise.scale > 0);
  const withheld = runs.filter((run) => run.noise && !(run.noise.scale > 0));
  if (measured.length < 2) return null; // one is in the panel of its run
  const top = Math.max(...measured.map((run) => run.noise.high ?? run.noise.scale));
  const shownRuns = () => visibleRuns().filter((run) => measured.includes(run));
  return el(
    "section",
    { id: "noise" },
    el("h2", {}, "Gradient noise scale and batch size"),
    el(
      "p",
      {},
      "The noise scale is the batch size at which noise and signal in a gradient are equal, an estimate of the critical batch size. ",
      "Above the dashed line, a larger batch would still reduce gradient noise; below it, a batch is larger than the noise scale. ",
      "What that does to the final score was not measured.",
      withheld.length ? ` ${plural(withheld.length, "run")} with an interval too wide to say anything ${withheld.length === 1 ? "is" : "are"} left out.` : "",
    ),
    el(
      "figure",
      {},
      scatterChart({
        label: "Gradient noise scale against batch size, one symbol a run. Arrow keys go from run to run.",
        xLabel: "batch size in samples",
        yLabel: "noise scale in samples",
        ticksAtValues: true,
        xLog: true,
        yLog: true,
        points: () =>
          spread(
            shownRuns().map((run) => ({
              run,
              x: run.noise.batch,
              y: run.noise.scale,
              ys: [Math.max(run.noise.low || 0, run.noise.scale / 100), run.noise.high ?? top],
              colour: runColour(run),
              text: `${run.label}: ${run.noise.says}`,
            })),
            true,
            true,
          ),
        lines: () => {
          const ends = extent(shownRuns().flatMap((run) => [run.noise.batch, run.noise.scale]));
          return ends ? [ends.map((v) => ({ x: v, y: v }))] : [];
        },
      }),
    ),
    tableBehind("Noise scales as a table", ["run", "batch size", "noise scale", "low", "high"], () =>
      shownRuns().map((run) => [run.label, number(run.noise.batch), number(run.noise.scale), number(run.noise.low), run.noise.high === null ? "unbounded" : number(run.noise.high)]),
    ),
  );
}

const SHORT = {
  glance: "At a glance",
  curves: "Loss and gradient norm",
  sources: "Sources",
  map: "Rate and batch",
  parallel: "Settings",
  prediction: "Prediction",
  noise: "Noise scale",
  panels: "Each run",
};

function build() {
  const sections = [
    glanceSection(),
    curvesSection(),
    sourcesSection(),
    mapSection(),
    parallelSection(),
    predictionSection(),
    noiseSection(),
    panelsSection(),
  ].filter(Boolean);
  document.getElementById("top").append(headerOf());
  document.getElementById("content").append(...sections);
  document.getElementById("contents").append(
    el("ul", {}, sections.map((section) => el("li", {}, el("a", { href: `#${section.id}` }, SHORT[section.id])))),
  );
  listeners.push(() => redraw());
  addEventListener("beforeprint", () => redraw(true));
  if (charts.length) draw(charts[0]); // the others when they come near the window
}

build();
