// The filter, and the table of runs.

const STATUS_ICONS = { finished: "✓", terminated: "✕", parked: "❚❚", running: "▶", failed: "!", dead: "!" };

function badge(run) {
  const icon = STATUS_ICONS[run.status] || "•";
  const words = view.status_words[run.status];
  return el("span", { class: "badge", "data-status": run.status, title: words }, `${icon} ${statusWord(run.status)}`);
}

// A run that trained to its end may still have been warned about.
function warnings(run) {
  const amount = run.verdicts.filter((verdict) => verdict.action === "warn").length;
  if (!amount || run.status === "terminated") return null;
  return el("span", { class: "badge warn" }, ` ▲ ${plural(amount, "warning")}`);
}

function filterBar() {
  const query = el("input", {
    type: "search",
    id: "filter",
    placeholder: "name, status, rule or value",
    autocomplete: "off",
    input: () => setFilter(() => (state.query = query.value.trim().toLowerCase())),
  });
  const boxes = view.statuses.map(([status, amount]) => {
    const box = el("input", {
      type: "checkbox",
      value: status,
      change: () =>
        setFilter(() => (box.checked ? state.hidden.delete(status) : state.hidden.add(status))),
    });
    box.checked = true;
    return { box, label: el("label", {}, box, ` ${statusWord(status)} (${count(amount)})`) };
  });
  const told = el("output", { "aria-live": "polite", for: "filter" });
  const clear = el("button", { type: "button", click: () => clearFilter() }, "Clear filter");
  const tell = () => {
    const amount = visibleRuns().length;
    told.textContent = isFiltered() ? `${count(amount)} of ${plural(runs.length, "run")} shown` : `${plural(runs.length, "run")}`;
    clear.hidden = !isFiltered();
    if (!state.query) query.value = document.activeElement === query ? query.value : "";
    for (const { box } of boxes) box.checked = !state.hidden.has(box.value);
  };
  listeners.push((what) => what === "filter" && tell());
  tell();
  return el(
    "div",
    { class: "filter", role: "search", "aria-label": "Filter runs" },
    el("label", { for: "filter" }, "Filter"),
    query,
    view.statuses.length > 1 ? boxes.map(({ label }) => label) : null,
    told,
    clear,
  );
}

const BATCH_KEYS = [
  "micro_batch_size",
  "batch_size",
  "gradient_accumulation_steps",
  "per_device_train_batch_size",
];

function columns() {
  const batches = runs.some((run) => run.batch);
  const keys = view.keys
    .map((key, i) => ({ key: key.key, name: key.label, of: (run) => run.values[i] }))
    .filter(({ key }) => !batches || !BATCH_KEYS.includes(key.split(".").at(-1))) // the batch size has a column
    .slice(0, 4);
  const losses = (run) => (run.curves.loss ? run.curves.loss.y.findLast((value) => value !== null) : null);
  return [
    ...keys,
    batches ? { name: "effective batch size", of: (run) => run.batch } : null,
    runs.some((run) => run.samples) ? { name: "samples seen", of: (run) => run.samples, cell: (run) => count(run.samples), number: true } : null,
    view.metric ? { name: view.metric, of: (run) => run.score } : null,
    { name: "status", of: (run) => run.status, cell: (run) => [badge(run), warnings(run)], fixed: true },
    { name: "steps", of: (run) => run.step, cell: (run) => `${count(run.step)} of ${count(run.max_steps)}`, fixed: true },
    { name: "last loss", of: losses },
  ].filter(Boolean);
}

// A stop is found at the next log or every 16 steps, so that the run is a little longer.
function whenOf(run, verdict) {
  const later = verdict.action === "stop" && run.status === "terminated" && run.step > verdict.step;
  return later ? `${count(run.step)}, for what it found at step ${count(verdict.step)}` : count(verdict.step);
}

// Why a run ended or was warned about, in full.
function why(run) {
  const told = run.verdicts.map((v) => `${actionOf(v).word} by ${v.rule} at step ${whenOf(run, v)}: ${v.reason}.`);
  if (run.reason && !run.verdicts.some((v) => v.action === "stop" || v.action === "park")) told.push(run.reason);
  if (run.status === "terminated" && run.score !== null && run.score_origin === "run") told.push("The score is of the model where it stopped.");
  return told.join(" ");
}

// The best score first, runs without one as they were started; a heading sorts by its column.
let order = view.metric
  ? { name: view.metric, of: (run) => run.score, sign: view.goal === "max" ? -1 : 1 }
  : null;

function isMissing(value) {
  return value === null || value === undefined || value === "";
}

function compared(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b));
}

// Runs without a value come last in either direction.
function sorted(found) {
  if (!order) return found;
  return [...found].sort((a, b) => {
    const [one, other] = [order.of(a), order.of(b)];
    if (isMissing(one) || isMissing(other)) return isMissing(one) - isMissing(other);
    return order.sign * compared(one, other);
  });
}

function runsTable() {
  const all = [{ name: "run", of: (run) => run.label, run: true }, ...columns()];
  const head = el("tr");
  const body = el("tbody");
  const heads = all.map((column) => {
    const sort = () => {
      const same = order && order.name === column.name;
      const first = column.name === view.metric && view.goal === "max" ? -1 : 1;
      order = same ? { ...column, sign: -order.sign } : { ...column, sign: first };
      show();
    };
    const numeric = !column.run && (column.number || !column.cell) && runs.some((run) => typeof column.of(run) === "number");
    return el("th", { scope: "col", class: numeric ? "number" : null }, el("button", { type: "button", click: sort }, column.name));
  });
  head.append(...heads);
  const rows = new Map();
  const rowFor = (run) => {
    if (!rows.has(run.id)) rows.set(run.id, rowsFor(run, all));
    return rows.get(run.id);
  };
  const show = () => {
    heads.forEach((node, i) => {
      const active = order && order.name === all[i].name;
      node.setAttribute("aria-sort", !active ? "none" : order.sign > 0 ? "ascending" : "descending");
    });
    const shownRuns = sorted(visibleRuns());
    latest = shownRuns;
    body.replaceChildren(...shownRuns.slice(0, AT_ONCE).flatMap(rowFor));
    mark();
    if (shownRuns.length > AT_ONCE) later(() => showRest(shownRuns));
  };
  let latest = null;
  const showRest = (shownRuns) => {
    if (latest !== shownRuns) return; // the filter has changed since
    body.append(...shownRuns.slice(AT_ONCE).flatMap(rowFor));
    mark();
  };
  const mark = () => {
    for (const [id, [row, below]] of rows) {
      const chosen = id === state.selected;
      row.toggleAttribute("data-selected", chosen);
      if (below) below.toggleAttribute("data-selected", chosen);
      row.querySelector("button").setAttribute("aria-pressed", String(chosen));
    }
  };
  listeners.push((what) => {
    if (what === "filter") show();
    if (what === "selected") mark();
  });
  show();
  const table = el("table", { class: "runs" }, el("caption", { class: "hidden" }, "All runs"), el("thead", {}, head), body);
  return scrolling(table, "Table of runs");
}

// The row of a run, and below it the reason of what happened to it, as wide as the table.
function rowsFor(run, all) {
  const row = rowOf(run, all);
  const text = why(run);
  if (!text) return [row];
  row.classList.add("above");
  return [row, el("tr", { class: "below" }, el("td", { colspan: all.length }, el("div", {}, text)))];
}

function rowOf(run, all) {
  return el(
    "tr",
    {},
    all.map((column) => {
      if (column.run) {
        const best = run.id === view.best && runs.length > 1 ? el("span", { class: "star", title: "best score" }, " ★ best") : null;
        const name = el("button", { type: "button", class: "run", click: () => select(run.id) }, run.label);
        return el("th", { scope: "row" }, dot(run), name, best);
      }
      const value = column.cell ? column.cell(run) : shown(column.of(run));
      const numeric = (column.number || !column.cell) && typeof column.of(run) === "number";
      return el("td", { class: column.fixed ? "fixed" : numeric ? "number" : null }, value);
    }),
  );
}
