// Loss and learning rate of one training or of several, drawn by uPlot, renewed while they run.
// [data-curves] holds [{name, url}]; below it [data-chart] is where each chart goes. Without this
// script the table beside the charts says the same in numbers.

"use strict";

const LINES = ["--accent", "--good", "--bad", "--warn", "--busy", "--text", "--quiet", "--accent"];
const DASHES = [[], [], [], [], [], [], [], [6, 4]];
const POLL_MS = 2000;
const MOST_POINTS = 4000;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const faint = (name) => `color-mix(in srgb, ${colour(name)} 35%, transparent)`;

/** As people read it: small numbers with an exponent. */
function inDigits(number, digits) {
  const isSmall = number !== 0 && Math.abs(number) < 1e-3;
  return isSmall ? Number(number).toExponential(digits - 1).replace(/\.?0+e/, "e") : Number(number.toPrecision(digits)).toString();
}

class Curves {
  constructor(root) {
    this.root = root;
    this.sources = JSON.parse(root.dataset.curves).map((it) => ({ ...it, points: [], validation: [], every: 1, cursor: null, isOver: false }));
    this.charts = {};
    this.scale = document.querySelector("#chart-scale");
    this.smoothing = document.querySelector("#chart-smoothing");
    document.querySelector(".chart-controls").hidden = false;
    this.scale.addEventListener("change", () => this.draw(true));
    this.smoothing.addEventListener("input", () => this.draw(false));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw(true));
    new ResizeObserver(() => this.resize()).observe(root);
    this.poll();
  }

  async poll() {
    const running = this.sources.filter((it) => !it.isOver);
    await Promise.all(running.map((it) => this.read(it).catch(() => {})));
    if (running.length) this.draw(false);
    if (this.sources.some((it) => !it.isOver)) setTimeout(() => this.poll(), POLL_MS);
  }

  /** What came since: of a training that went back to a checkpoint, later points replace earlier ones. */
  async read(source) {
    const query = source.cursor && source.points.length < MOST_POINTS ? `?after=${encodeURIComponent(source.cursor)}` : "";
    const answer = await fetch(source.url + query, { headers: { Accept: "application/json" } });
    if (answer.redirected) { location.reload(); return; } // the session has ended
    if (!answer.ok) { source.isOver = answer.status < 500; return; }
    const told = await answer.json();
    if (told.isWhole) Object.assign(source, { points: [], validation: [], every: told.every });
    const first = told.points.length ? told.points[0][0] : Infinity;
    while (source.points.length && source.points.at(-1)[0] >= first) source.points.pop();
    source.points.push(...told.points);
    source.validation.push(...told.validation);
    Object.assign(source, { cursor: told.cursor, isOver: told.isOver, stepsPerEpoch: told.stepsPerEpoch });
  }

  draw(isNew) {
    for (const place of this.root.querySelectorAll("[data-chart]")) this.drawOne(place, isNew);
    if (this.sources.length === 1) this.tell(this.sources[0]);
    const isEmpty = this.sources.every((it) => !it.points.length);
    const every = Math.max(...this.sources.map((it) => it.every));
    document.querySelector("#chart-note").textContent = isEmpty ? "No step is done yet." : every > 1 ? `Each point is the mean of ${every} steps.` : "";
  }

  drawOne(place, isNew) {
    const kind = place.dataset.chart;
    const drawn = this.sources.filter((it) => it.points.some((point) => point[1] != null));
    place.hidden = !drawn.length;
    if (!drawn.length) return;
    const { data, series } = kind === "loss" ? this.losses(drawn) : this.rates(drawn);
    const shape = series.map((it) => it.label).join("|");
    let chart = this.charts[kind];
    if (chart && !isNew && chart.shape === shape) { chart.plot.setData(data); return; }
    chart?.plot.destroy();
    this.charts[kind] = { shape, plot: new uPlot(this.options(place, series, kind), data, place) };
  }

  losses(drawn) {
    const tables = [], series = [{ label: "Step" }], isOne = this.sources.length === 1;
    drawn.forEach((source) => {
      const place = this.sources.indexOf(source), line = LINES[place];
      const steps = source.points.map((it) => it[0]), raw = source.points.map((it) => it[1]);
      tables.push([steps, raw, smoothed(raw, Number(this.smoothing.value))]);
      series.push(
        { label: isOne ? "Loss" : `${source.name}, each step`, class: isOne ? null : "only-drawn", stroke: () => faint(line), width: 1, points: { show: false } },
        { label: isOne ? "Smoothed" : source.name, stroke: () => colour(line), width: 2, dash: DASHES[place], spanGaps: true, points: { show: false } },
      );
      if (source.validation.length) {
        tables.push([source.validation.map((it) => it[0]), source.validation.map((it) => it[1])]);
        series.push({ label: isOne ? "Pictures kept out" : `${source.name}, kept out`, stroke: () => colour(isOne ? "--good" : line), width: 1.5, dash: [4, 4], spanGaps: true, points: { show: true, size: 6 } });
      }
    });
    return { data: uPlot.join(tables), series };
  }

  rates(drawn) {
    const tables = drawn.map((it) => [it.points.map((point) => point[0]), it.points.map((point) => point[2])]);
    const isOne = this.sources.length === 1;
    const series = drawn.map((it) => {
      const place = this.sources.indexOf(it);
      return { label: isOne ? "Learning rate" : it.name, stroke: () => colour(LINES[place]), dash: DASHES[place], width: 2, spanGaps: true, points: { show: false } };
    });
    return { data: uPlot.join(tables), series: [{ label: "Step" }, ...series] };
  }

  options(place, series, kind) {
    const axis = { stroke: () => colour("--quiet"), grid: { stroke: () => colour("--line"), width: 1 }, ticks: { stroke: () => colour("--line"), width: 1 } };
    const value = (_, number) => (number == null ? "–" : inDigits(number, 4));
    return {
      ...this.sizeOf(place),
      scales: { x: { time: false }, y: kind === "rate" ? { range: (_, __, most) => [0, 1.05 * (most || 1)] } : { distr: this.scale.value === "log" ? 3 : 1 } },
      axes: [
        { ...axis, values: (_, marks) => marks.map((it) => (Number.isInteger(it) ? it.toLocaleString() : "")) },
        { ...axis, size: 70, values: (_, marks) => marks.map((it) => (it == null ? "" : inDigits(it, 3))) },
      ],
      series: series.map((it, number) => (number ? { ...it, value } : it)),
      cursor: { drag: { x: true, y: false } },
    };
  }

  sizeOf(place) {
    return { width: Math.max(240, place.clientWidth), height: place.classList.contains("low") ? 170 : 280 };
  }

  resize() {
    for (const place of this.root.querySelectorAll("[data-chart]")) this.charts[place.dataset.chart]?.plot.setSize(this.sizeOf(place));
  }

  /** The same in numbers, where a page has a table for one training. */
  tell(source) {
    for (const [name, at] of [["loss", 1], ["rate", 2]]) {
      const known = source.points.filter((it) => it[at] != null);
      if (!known.length) continue;
      const begin = Math.floor((known.at(-1)[0] - 1) / source.stepsPerEpoch) * source.stepsPerEpoch;
      const last = known.filter((it) => it[0] > begin).map((it) => it[at]);
      const facts = { latest: known.at(-1)[at], lowest: known.reduce((low, it) => Math.min(low, it[at]), Infinity), lastEpoch: last.reduce((sum, it) => sum + it, 0) / last.length };
      for (const [fact, number] of Object.entries(facts)) {
        const cell = document.querySelector(`[data-fact="${name}.${fact}"]`);
        if (cell) cell.textContent = inDigits(number, 4);
      }
    }
  }
}

/** An exponential mean that does not begin at zero; what is not finite is passed over. */
function smoothed(values, weight) {
  let mean = 0, share = 0;
  return values.map((value) => {
    if (value == null) return null;
    mean = weight * mean + (1 - weight) * value;
    share = weight * share + (1 - weight);
    return mean / share;
  });
}

for (const root of document.querySelectorAll("[data-curves]")) new Curves(root);
