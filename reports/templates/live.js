// Asks the command for its figures once a second, and sends the wish to stop.
(() => {
  "use strict";
  const find = (id) => document.getElementById(id);
  let shown = "";
  let plots = null;
  let stopping = false;

  function plotsOf(state) {
    const names = state.figures.panels.map((panel) => panel.series.map((line) => line.label).join());
    const now = state.run + names.join("|");
    if (now !== shown) {
      shown = now;
      plots = codeBlue.draw(find("plots"), state.figures);
    } else {
      plots.update(state.figures);
    }
  }

  function row(cells) {
    const made = document.createElement("tr");
    cells.forEach((text, place) => {
      const cell = made.appendChild(document.createElement(place ? "td" : "th"));
      cell.textContent = text;
    });
    return made;
  }

  function show(state) {
    if (state.run) {
      find("run").textContent = state.run;
      const faults = state.faults.length ? state.faults.join("; ") : "no fault";
      const said = state.status === "running" ? `${state.phase}, ${state.t.toFixed(1)} of ${state.total.toFixed(0)} s, ${faults}`
        : state.status === "stopping" ? "stopping: faults are being healed" : "the command has ended";
      find("status").textContent = said;
      if (state.figures.panels[0].t.length) plotsOf(state);
      const drawn = new DOMParser().parseFromString(state.map || "<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml");
      find("map").replaceChildren(document.importNode(drawn.documentElement, true));
    }
    find("finished").hidden = !state.finished.length;
    find("finished").querySelector("tbody").replaceChildren(...state.finished.map((one) => row([one.run, one.verdict, one.why])));
    find("stop").disabled = stopping || state.status !== "running";
  }

  async function look() {
    try {
      const answer = await fetch("state", { cache: "no-store" });
      const state = await answer.json();
      show(state);
      if (state.status === "ended") return;
    } catch (error) {
      find("status").textContent = "the command does not answer any more";
      find("stop").disabled = true;
      return;
    }
    setTimeout(look, 1000);
  }

  find("stop").addEventListener("click", async () => {
    stopping = true;
    find("stop").disabled = true;
    find("status").textContent = "stopping: faults are being healed";
    await fetch("stop", { method: "POST" });
  });
  look();
})();
