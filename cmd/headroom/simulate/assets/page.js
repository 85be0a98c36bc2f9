"use strict";
(() => {
  const colors = ["#0969da", "#cf222e", "#bf8700"];
  const start = Date.parse(report.trace.start) / 1000;
  const longest = Math.max(...report.contenders.map(c => c.series.backlog.length));
  const step = report.contenders[0].series.stepSeconds;
  const times = Array.from({length: longest}, (_, i) => start + i * step);
  const zone = "UTC";
  const charts = [
    ["Messages that came, per second", "arrived", v => v / step, 1],
    ["Age of the oldest message, seconds", "age", v => v, 3],
    ["Messages waiting and in work", "backlog", v => v, 3],
    ["Pods", "pods", v => v, 3],
    ["Connections" + (report.contenders[0].databases.length ? " to " + report.contenders[0].databases[0].database : ""), "connections", v => v, 3],
  ];
  const level = {
    age: [report.objectiveSeconds, "objective"],
    connections: [report.contenders[0].databases.length ? report.contenders[0].databases[0].limit : 0, "limit"],
  };
  const sync = uPlot.sync("all");
  const all = [];
  for (const [title, key, unit, most] of charts) {
    const box = document.getElementById("charts");
    const heading = document.createElement("h2");
    heading.textContent = title;
    box.append(heading);
    const series = [{label: zone}];
    const data = [times];
    report.contenders.slice(0, most).forEach((c, i) => {
      const values = c.series[key].map(unit);
      while (values.length < longest) values.push(null);
      series.push({label: most === 1 ? "messages" : c.contender, stroke: colors[i], width: 1});
      data.push(values);
    });
    if (level[key] && level[key][0] > 0) {
      series.push({label: level[key][1], stroke: "#57606a", width: 1, dash: [6, 4]});
      data.push(times.map(() => level[key][0]));
    }
    all.push(new uPlot({
      width: Math.min(1080, document.body.clientWidth), height: 200, series,
      tzDate: t => uPlot.tzDate(new Date(t * 1000), "Etc/UTC"),
      cursor: {sync: {key: sync.key, setSeries: false}},
      scales: {y: {range: (u, low, high) => [0, Math.max(1, high * 1.05)]}},
      hooks: {setScale: [(u, scale) => {
        if (scale !== "x") return;
        const {min, max} = u.scales.x;
        for (const other of all) {
          if (other !== u && (other.scales.x.min !== min || other.scales.x.max !== max)) other.setScale("x", {min, max});
        }
      }]},
    }, data, box));
  }
})();
