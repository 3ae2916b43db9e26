// Plots that a reader points at, zooms by brushing and chooses lines of. Without scripts, and in print, the
// drawings of the page stand in their place.
(() => {
  "use strict";
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const digits = (value) => (Math.abs(value) >= 1000 ? value.toFixed(0) : String(+value.toPrecision(3)));
  const seconds = (value) =>
    value === 0 ? "0 s" : value < 0.001 ? digits(value * 1e6) + " us" : value < 1 ? digits(value * 1e3) + " ms" : digits(value) + " s";
  const units = { rate: digits, seconds, share: (value) => value.toFixed(2) };
  const HEIGHTS = { rate: 160, seconds: 200, share: 170 };
  const width = (place) => Math.max(260, place.clientWidth);
  const alpha = (context, share, draw) => {
    context.save();
    context.globalAlpha = share;
    draw();
    context.restore();
  };

  function lows(data) {
    if (data.range) return data.range;
    const seen = data.panels.filter((one) => one.unit === "seconds").flatMap((one) =>
      one.series.flatMap((line) => line.values).concat(one.objectives.map((bound) => bound.at)));
    const found = seen.filter((value) => value > 0);
    const [low, high] = found.length ? [Math.min(...found), Math.max(...found)] : [0.01, 0.1];
    const stretch = Math.max(1.3, Math.sqrt((10 * low) / high));
    return [low / stretch, high * stretch];
  }

  // Whole decades, and a third of one where few of them are seen.
  function decades([low, high]) {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
      for (const factor of high / low > 1e3 ? [1] : [1, 3]) found.push(+(factor * 10 ** power).toPrecision(2));
    }
    return found.filter((value) => value >= low && value <= high);
  }

  function shade(plot, data) {
    const { ctx: context, bbox: box } = plot;
    const x = (t) => Math.min(Math.max(plot.valToPos(t, "x", true), box.left), box.left + box.width);
    for (const [start, end] of data.windows) {
      alpha(context, 0.16, () => {
        context.fillStyle = colour("--fault");
        context.fillRect(x(start), box.top, Math.max(1, x(end) - x(start)), box.height);
      });
    }
    context.save();
    context.strokeStyle = context.fillStyle = colour("--muted");
    context.setLineDash([2, 3]);
    context.font = `${11 * devicePixelRatio}px sans-serif`;
    context.textAlign = "left";
    context.textBaseline = "alphabetic";
    data.phases.forEach(([start, name], place) => {
      if (start < plot.scales.x.min || start > plot.scales.x.max) return;
      context.beginPath();
      context.moveTo(x(start), box.top);
      context.lineTo(x(start), box.top + box.height);
      context.stroke();
      const room = (place + 1 < data.phases.length ? x(data.phases[place + 1][0]) : box.left + box.width) - x(start);
      if (context.measureText(name).width + 6 < room) context.fillText(name, x(start) + 3, box.top + 11 * devicePixelRatio);
    });
    context.restore();
  }

  function bounds(plot, panel) {
    const { ctx: context, bbox: box } = plot;
    const x = (t) => Math.min(Math.max(plot.valToPos(t, "x", true), box.left), box.left + box.width);
    for (const bound of panel.objectives) {
      const y = plot.valToPos(bound.at, "y", true);
      if (x(bound.to) <= x(bound.from)) continue;
      context.save();
      context.strokeStyle = context.fillStyle = colour(bound.colour);
      context.lineWidth = 1.2 * devicePixelRatio;
      context.setLineDash([8, 3, 2, 3]);
      context.beginPath();
      context.moveTo(x(bound.from), y);
      context.lineTo(x(bound.to), y);
      context.stroke();
      context.font = `${10 * devicePixelRatio}px sans-serif`;
      context.textAlign = "left";
      context.textBaseline = "alphabetic";
      context.fillText(bound.text, x(bound.from) + 3, y + 11 * devicePixelRatio);
      context.restore();
    }
  }

  // Keys do what the mouse does: a line is shown or hidden from its name in the legend.
  function reachable(plot, panel) {
    plot.root.querySelectorAll(".u-legend .u-series").forEach((row, place) => {
      const name = row.querySelector(".u-label");
      if (place === 0 || !name) return;
      const said = () => name.setAttribute("aria-pressed", String(plot.series[place].show));
      name.tabIndex = 0;
      name.setAttribute("role", "button");
      name.setAttribute("aria-label", `show ${panel.series[place - 1].label} in ${panel.title}`);
      said();
      row.addEventListener("click", () => setTimeout(said));
      name.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        name.click();
      });
    });
  }

  function draw(host, data) {
    host.textContent = "";
    const all = [];
    let busy = false;
    const together = (plot) => {
      if (busy) return;
      busy = true;
      const { min, max } = plot.scales.x;
      for (const other of all) if (other !== plot) other.setScale("x", { min, max });
      busy = false;
    };
    const range = lows(data);
    for (const panel of data.panels) {
      const place = host.appendChild(document.createElement("div"));
      place.className = panel.half ? "panel half" : "panel";
      const title = place.appendChild(document.createElement("div"));
      title.className = "plot-title";
      title.textContent = panel.title;
      const durations = panel.unit === "seconds";
      const steps = panel.series.some((line) => line.steps);
      const written = (_, value) => (value === null || value === undefined ? "–" : units[panel.unit](value));
      const axis = { stroke: () => colour("--muted"), grid: { stroke: () => colour("--grid"), width: 1 }, ticks: { stroke: () => colour("--grid") }, font: "11px sans-serif" };
      const upright = { ...axis, size: 62, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : units[panel.unit](tick))) };
      if (durations) Object.assign(upright, { splits: () => decades(range), filter: (_, ticks) => ticks });
      const most = (high) => (panel.unit === "share" ? 1.2 : Math.max(1, (high || 0) * 1.1));
      const options = {
        width: width(place), height: HEIGHTS[panel.unit], pxAlign: 0,
        cursor: {
          sync: { key: "seconds" }, drag: { x: true, y: false }, points: { size: 6 },
          dataIdx: (plot, _, index, t) => (steps && plot.data[0][index] > t ? Math.max(0, index - 1) : index),
        },
        scales: { x: { time: false, range: (_, low, high) => [low, high] }, y: durations ? { distr: 3, range } : { range: (_, low, high) => [0, most(high)] } },
        axes: [{ ...axis, size: 28 }, upright],
        series: [{ label: "at", value: (_, value) => (value === null || value === undefined ? "–" : value.toFixed(1) + " s") }, ...panel.series.map((line) => ({
          label: line.label, value: written, width: line.width, dash: line.dash, spanGaps: line.spans,
          stroke: () => colour(line.colour), fill: line.filled ? () => colour(line.colour) + "44" : undefined,
          paths: line.steps ? uPlot.paths.stepped({ align: 1 }) : undefined, points: { show: false },
        }))],
        hooks: { drawClear: [(plot) => shade(plot, data)], draw: [(plot) => bounds(plot, panel)], setScale: [(plot, scale) => scale === "x" && together(plot)] },
      };
      const plot = new uPlot(options, [panel.t, ...panel.series.map((line) => line.values)], place);
      reachable(plot, panel);
      all.push(plot);
    }
    const whole = () => all.slice(0, 1).forEach((plot) => plot.setScale("x", { min: 0, max: data.end }));
    whole();
    new ResizeObserver(() => {
      for (const plot of all) {
        const wide = width(plot.root.parentNode);
        if (Math.abs(plot.width - wide) > 2) plot.setSize({ width: wide, height: plot.height });
      }
    }).observe(host);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => all.forEach((plot) => plot.redraw()));
    window.codeBlue.shown = all;
    // The same panels with more points: what a reader has zoomed into or hidden stays so.
    const update = (more) => {
      Object.assign(data, more);
      all.forEach((plot, place) => {
        const { min, max } = plot.scales.x;
        plot.setData([more.panels[place].t, ...more.panels[place].series.map((line) => line.values)], false);
        busy = true;
        plot.setScale("x", { min, max });
        busy = false;
      });
    };
    return { plots: all, whole, update };
  }

  function begin(holder) {
    const figure = holder.closest("figure");
    const data = JSON.parse(holder.textContent);
    const host = figure.insertBefore(document.createElement("div"), figure.firstChild);
    host.className = "plots";
    figure.classList.add("scripted");
    const drawn = draw(host, data);
    const whole = figure.insertBefore(document.createElement("button"), host);
    whole.type = "button";
    whole.textContent = "Show the whole run";
    whole.addEventListener("click", drawn.whole);
  }

  window.codeBlue = { draw, shown: [] };
  document.querySelectorAll("script[type='application/json'].figures").forEach(begin);
})();
