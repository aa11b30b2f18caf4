// What the reader has filtered and selected; charts and tables follow it.

const state = {
  query: "",
  hidden: new Set(), // statuses
  ranges: new Map(), // by axis of the parallel coordinates: [low, high]
  selected: null,
};
const listeners = [];

function changed(what) {
  for (const listener of listeners) listener(what);
}

const searched = new Map(
  runs.map((run) => {
    const values = view.keys.map((key, i) => `${key.label} ${shown(run.values[i])}`);
    const words = [...run.tags, run.label, run.id, run.status, statusWord(run.status), run.rule || "", run.study, ...values];
    return [run.id, words.join(" ").toLowerCase()];
  }),
);

function isVisible(run) {
  if (state.hidden.has(run.status)) return false;
  const text = searched.get(run.id);
  if (!state.query.split(/\s+/).every((word) => text.includes(word))) return false;
  for (const [axis, [low, high]] of state.ranges) {
    const value = axis.of(run);
    if (value === null || value < low || value > high) return false;
  }
  return true;
}

function visibleRuns() {
  return runs.filter(isVisible);
}

// What is far down a long page can wait until its top is shown.
const AT_ONCE = 100;

function later(work) {
  requestAnimationFrame(() => setTimeout(work));
}

function select(id) {
  state.selected = state.selected === id ? null : id;
  changed("selected");
}

function setFilter(change) {
  change();
  const selected = runById.get(state.selected);
  if (selected && !isVisible(selected)) state.selected = null;
  changed("filter");
}

function isFiltered() {
  return Boolean(state.query || state.hidden.size || state.ranges.size);
}

function clearFilter() {
  setFilter(() => {
    state.query = "";
    state.hidden.clear();
    state.ranges.clear();
  });
}
