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
        ticksAtValues: "xy",
        named: !both,
        points,
      }),
    ),
    tableBehind(`${title} as a table`, ["run", "learning rate", "batch size", view.metric || "score", "status"], () =>
      visibleRuns().map((run) => [run.label, number(run.rate), count(run.batch), number(run.score), statusWord(run.status)]),
    ),
  );
}

// What the rule predicted when it stopped a run, beside the score where it stopped.
function predictedWhenStopped(run) {
  const verdict = run.verdicts.findLast((v) => v.rule === "prediction" && v.action === "stop");
  const { predicted, low, high, share: part } = (verdict && verdict.figures) || {};
  if (run.status !== "terminated" || run.score === null || predicted === undefined || low === undefined) return null;
  return { predicted, low, high, share: part, runs: verdict.figures.runs };
}

function predictionSection() {
  const predicted = runs.filter((run) => run.prediction && run.score !== null);
  if (predicted.length < 3) return null;
  const finished = runs.filter((run) => run.status === "finished" && run.score !== null);
  const stopped = runs.filter(predictedWhenStopped);
  const looks = [...new Set(predicted.flatMap((run) => run.prediction.map((look) => look.share)))].sort();
  let wanted = looks.includes(0.35) ? 0.35 : looks[0];
  const told = el("p", { "aria-live": "polite" });
  const lookOf = (run) => predictedWhenStopped(run) || run.prediction.find((look) => look.share === wanted);
  const tell = () => {
    const found = visibleRuns().filter((run) => predicted.includes(run) && lookOf(run));
    const inside = found.filter((run) => lookOf(run).low <= run.score && run.score <= lookOf(run).high);
    told.textContent = !found.length ? "None of the runs that the filter shows has a prediction and a score." :
      `At ${Math.round(100 * wanted)}% of the run, the 95% interval held the actual score in ` +
      `${count(inside.length)} of ${plural(found.length, "finished run")}.`;
  };
  const choose = el(
    "select",
    { change: () => { wanted = Number(choose.value); tell(); redraw(); } },
    looks.map((look) => el("option", { value: look, selected: look === wanted }, `${Math.round(100 * look)}%`)),
  );
  listeners.push((what) => what === "filter" && tell());
  tell();
  const shownRuns = () => visibleRuns().filter((run) => (predicted.includes(run) && lookOf(run)) || stopped.includes(run));
  const others = finished.length - predicted.length;
  return el(
    "section",
    { id: "prediction" },
    el("h2", {}, "Predicted and actual scores"),
    el(
      "p",
      {},
      "For each finished run: the score that the runs finished before it predict, from its loss at one share of the run, with the 95% interval. ",
      "The intervals are those of a straight line through earlier runs, and may reach beyond scores that are possible, such as below 0. ",
      others > 0 ? `${count(predicted.length)} of ${plural(finished.length, "finished run")} with a score ${predicted.length === 1 ? "is" : "are"} here; before the other${others === 1 ? "" : ` ${count(others)}`} began, too few runs of the same model and data with a similar first loss had finished (at least four settings are needed).` : null,
    ),
    stopped.length ? el("p", {}, el("b", { "aria-hidden": "true" }, "✕"), ` A run that the rule prediction stopped: what it predicted then for the end of the run, against the score where the run stopped. It is not counted below.`) : null,
    el("div", { class: "controls" }, el("label", {}, "Share of the run ", choose)),
    told,
    el(
      "figure",
      {},
      scatterChart({
        label: `Predicted and final ${view.metric}, one symbol a run. Arrow keys go from run to run.`,
        xLabel: `predicted ${view.metric}`,
        yLabel: `actual ${view.metric}`,
        named: true,
        points: () =>
          shownRuns().map((run) => {
            const look = lookOf(run);
            const ended = stopped.includes(run) ? `stopped at ${Math.round(100 * look.share)}%, score there` : "actual";
            return {
              run,
              x: look.predicted,
              y: run.score,
              xs: [look.low, look.high],
              colour: runColour(run),
              shape: stopped.includes(run) ? "cross" : "disc",
              text: `${run.label}: predicted ${number(look.predicted)} (${number(look.low)} to ${number(look.high)}) by ${plural(look.runs, "run")}, ${ended} ${number(run.score)}`,
            };
          }),
        lines: () => {
          const ends = extent(shownRuns().flatMap((run) => [run.score, lookOf(run).predicted]));
          return ends ? [[...ends.map((v) => ({ x: v, y: v })), "predicted = actual"]] : [];
        },
      }),
    ),
    tableBehind("Predictions as a table", ["run", "predicted", "low", "high", "actual", "by", "ended"], () =>
      shownRuns().map((run) => {
        const look = lookOf(run);
        return [run.label, number(look.predicted), number(look.low), number(look.high), number(run.score), plural(look.runs, "run"), statusWord(run.status)];
      }),
    ),
  );
}

function noiseFollows(measured) {
  const above = measured.filter((run) => run.noise.batch > (run.noise.high ?? Infinity)).length;
  const below = measured.filter((run) => run.noise.batch < run.noise.low).length;
  const rest = measured.length - above - below;
  return [
    above ? `In ${plural(above, "run")} the batch is larger than the noise scale (below the dashed line): samples beyond the noise scale gain little. ` : "",
    below ? `In ${plural(below, "run")} the batch is smaller than the noise scale (above the line): a larger one would still reduce gradient noise. ` : "",
    rest ? `In ${plural(rest, "run")} the interval includes the batch size, and nothing follows. ` : "",
    "What that does to the final score was not measured.",
  ];
}

function noiseSection() {
  const measured = runs.filter((run) => run.noise && run.noise.scale > 0);
  const withheld = runs.filter((run) => run.noise && !(run.noise.scale > 0)).length;
  const unmeasured = runs.length - measured.length - withheld;
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
      `${count(measured.length)} of ${plural(runs.length, "run")} ${measured.length === 1 ? "has" : "have"} one, shown by a symbol with its 95% interval`,
      withheld ? `; the interval of ${count(withheld)} is too wide to say anything` : "",
      unmeasured ? `; of ${count(unmeasured)}, no noise scale was measured` : "",
      ".",
    ),
    el("p", {}, noiseFollows(measured)),
    el(
      "figure",
      {},
      scatterChart({
        label: "Gradient noise scale against batch size, one symbol a run. Arrow keys go from run to run.",
        xLabel: "batch size in samples",
        yLabel: "noise scale in samples",
        ticksAtValues: "x",
        named: true,
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
          return ends ? [[...ends.map((v) => ({ x: v, y: v })), "noise scale = batch size"]] : [];
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
  addEventListener("beforeprint", () => {
    openForPrint();
    redraw(true);
  });
  addEventListener("afterprint", closeAfterPrint);
  if (charts.length) draw(charts[0]); // the others when they come near the window
}

build();
