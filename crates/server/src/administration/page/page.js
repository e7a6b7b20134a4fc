// The administration's page: shows what comes over the WebSocket `live`, and has done what its buttons say.
//
// The server tells counts since its start; what happened in a second is the difference of two of them. What is
// said is in wire.md.
"use strict";

const $ = (id) => document.getElementById(id);

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// ---- Numbers ----

function count(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e9) return `${(value / 1e9).toFixed(2)} G`;
  if (size >= 1e6) return `${(value / 1e6).toFixed(2)} M`;
  if (size >= 1e4) return `${(value / 1e3).toFixed(1)} k`;
  if (Number.isInteger(value) || size >= 100) return Math.round(value).toLocaleString("en");
  return value.toFixed(size >= 10 ? 1 : 2).replace(/\.?0+$/, "");
}

function bytes(value) {
  if (value === null || value === undefined) return "–";
  for (const [unit, size] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]]) {
    if (value >= size) return `${(value / size).toFixed(value >= 100 * size ? 0 : 1)} ${unit}`;
  }
  return `${Math.round(value)} B`;
}

function time(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds === 0) return "0";
  if (seconds < 0.001) return `${(seconds * 1e6).toFixed(seconds < 1e-4 ? 1 : 0)} µs`;
  if (seconds < 1) return `${(seconds * 1e3).toFixed(seconds < 0.01 ? 2 : seconds < 0.1 ? 1 : 0)} ms`;
  return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
}

function age(seconds) {
  seconds = Math.max(0, Math.round(seconds));
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  if (minutes > 0) return `${minutes} min ${seconds % 60} s`;
  return `${seconds} s`;
}

const percent = (value) => (value === null || value === undefined ? "–" : `${(value * 100).toFixed(value < 0.9995 ? 1 : 0)} %`);

// ---- The series ----

/** What was told, and what it makes with what was told before. The oldest first. */
let points = [];
let server = null;

/** What happened between two of what the server told; nothing where it was started anew in between. */
function point(live, before) {
  const made = { at: live.at, live };
  const seconds = before ? live.at - before.live.at : 0;
  const isNext = seconds > 0 && seconds < 10 * interval() && live.bytes_sent >= before.live.bytes_sent
    && live.requests >= before.live.requests && live.connections_accepted >= before.live.connections_accepted;
  made.rate = (name) => (isNext ? (live[name] - before.live[name]) / seconds : null);
  made.status = (index) => (isNext ? Math.max(0, live.responses[index] - before.live.responses[index]) / seconds : null);
  made.latency = (name) => (live.latency.count > 0 ? live.latency[name] : null);
  const hits = made.rate("cache_hits");
  const misses = made.rate("cache_misses");
  made.hitRate = hits + misses > 0 ? hits / (hits + misses) : null;
  return made;
}

const interval = () => server?.interval ?? 1;

function append(live) {
  const before = points.at(-1);
  if (before && live.at <= before.at) return;
  points.push(point(live, before));
  const oldest = live.at - KEPT_SECONDS;
  while (points.length > 2 && points[0].at < oldest) points.shift();
}

const KEPT_SECONDS = 960;

// ---- Charts ----

const CHARTS = [
  {
    title: "Requests per second", lines: [{ name: "all", color: "accent", of: (p) => p.rate("requests"), fill: true }], show: count,
  },
  {
    title: "Responses per second", show: count,
    lines: [
      { name: "2xx", color: "good", of: (p) => p.status(1) },
      { name: "3xx", color: "blue", of: (p) => p.status(2) },
      { name: "4xx", color: "amber", of: (p) => p.status(3) },
      { name: "5xx", color: "red", of: (p) => p.status(4) },
    ],
  },
  {
    title: "Latency", show: time, logarithmic: true,
    lines: [
      { name: "p99", color: "violet", of: (p) => p.latency("p99") },
      { name: "p90", color: "blue", of: (p) => p.latency("p90") },
      { name: "p50", color: "accent", of: (p) => p.latency("p50"), fill: true },
    ],
  },
  {
    title: "Queue", show: count, whole: true,
    lines: [
      { name: "waiting", color: "amber", of: (p) => p.live.queued, fill: true },
      { name: "being answered", color: "accent", of: (p) => p.live.active },
    ],
    limit: (p) => p.live.queue_length,
  },
  {
    title: "Connections", show: count, whole: true,
    lines: [
      { name: "open", color: "blue", of: (p) => p.live.connections, fill: true },
      { name: "new per second", color: "good", of: (p) => p.rate("connections_accepted") },
    ],
  },
  {
    title: "Bytes per second", show: bytes, binary: true,
    lines: [
      { name: "sent", color: "accent", of: (p) => p.rate("bytes_sent"), fill: true },
      { name: "received", color: "violet", of: (p) => p.rate("bytes_received") },
    ],
  },
  {
    title: "Cache hit rate", show: percent, top: 1,
    lines: [{ name: "hits", color: "good", of: (p) => p.hitRate, fill: true }],
  },
  {
    title: "WebSocket connections", show: count, whole: true,
    lines: [
      { name: "open", color: "violet", of: (p) => p.live.websockets, fill: true },
      { name: "messages waiting", color: "amber", of: (p) => p.live.messages_queued },
    ],
  },
  {
    title: "WebSocket messages per second", show: count,
    lines: [
      { name: "sent", color: "accent", of: (p) => p.rate("messages_sent"), fill: true },
      { name: "received", color: "blue", of: (p) => p.rate("messages_received") },
      { name: "of broadcasts", color: "amber", of: (p) => p.rate("broadcast_deliveries") },
    ],
  },
];

let span = 300;
/** Where the mouse is, as seconds before now; on all charts alike. */
let pointed = null;

function makeCharts() {
  for (const chart of CHARTS) {
    chart.canvas = element("canvas", { role: "img" });
    chart.values = chart.lines.map(() => element("b", { textContent: "–" }));
    const legend = chart.lines.map((line, index) => {
      const mark = element("i");
      mark.style.background = `var(--${line.color})`;
      return element("span", {}, mark, line.name, chart.values[index]);
    });
    const header = element("header", {}, element("h2", { textContent: chart.title }), element("div", { className: "legend" }, ...legend));
    $("charts").append(element("article", { className: "chart" }, header, chart.canvas));
    chart.canvas.addEventListener("pointermove", (event) => {
      const { left, width } = chart.canvas.getBoundingClientRect();
      const share = (event.clientX - left - LEFT) / (width - LEFT - RIGHT);
      pointed = share >= 0 && share <= 1 ? (1 - share) * span : null;
      draw();
    });
    chart.canvas.addEventListener("pointerleave", () => {
      pointed = null;
      draw();
    });
  }
}

const [LEFT, RIGHT, TOP, BOTTOM] = [58, 8, 8, 20];

/** As it is shown, without what is only there for the sake of many digits. */
const onAxis = (text) => text.replace(/(\.\d*?)0+(?= |$)/, "$1").replace(/\.(?= |$)/, "");

/** A round number that is not less, for the top of an axis. */
function roundUp(value, binary) {
  if (value <= 0) return 1;
  if (binary && value >= 1024) {
    const size = 1024 ** Math.floor(Math.log(value) / Math.log(1024));
    return roundUp(value / size, false) * size;
  }
  const size = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 8, 10].find((step) => step * size >= value * 0.9999) * size;
}

function palette() {
  const style = getComputedStyle(document.documentElement);
  return (name) => style.getPropertyValue(`--${name}`).trim();
}

function draw() {
  if (document.hidden) return;
  const color = palette();
  const now = points.length ? points.at(-1).at : Date.now() / 1000;
  const shown = points.filter((p) => p.at >= now - span - 2 * interval());
  const at = pointed === null ? shown.at(-1) : nearest(shown, now - pointed);
  for (const chart of CHARTS) drawChart(chart, shown, at, now, color);
}

function nearest(shown, when) {
  let best = null;
  for (const p of shown) if (best === null || Math.abs(p.at - when) < Math.abs(best.at - when)) best = p;
  return best;
}

function drawChart(chart, shown, at, now, color) {
  const { canvas } = chart;
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const paper = canvas.getContext("2d");
  paper.setTransform(scale, 0, 0, scale, 0, 0);
  paper.clearRect(0, 0, width, height);
  const series = chart.lines.map((line) => shown.map((p) => line.of(p)));
  let highest = 0;
  for (const values of series) for (const value of values) if (value !== null && value > highest) highest = value;
  const limit = chart.limit && shown.length ? chart.limit(shown.at(-1)) : null;
  if (limit && highest > limit * 0.4) highest = Math.max(highest, limit * 1.05);
  let top = chart.top ?? roundUp(highest, chart.binary);
  if (chart.whole && top < 4) top = 4;
  const [bottom, ceiling] = chart.logarithmic ? decades(series) : [0, top];
  const x = (when) => LEFT + ((when - (now - span)) / span) * (width - LEFT - RIGHT);
  const share = chart.logarithmic
    ? (value) => Math.max(0, Math.log(value / bottom) / Math.log(ceiling / bottom))
    : (value) => value / top;
  const y = (value) => height - BOTTOM - share(value) * (height - TOP - BOTTOM);

  paper.font = "11px system-ui, sans-serif";
  paper.textBaseline = "middle";
  paper.lineWidth = 1;
  const marks = chart.logarithmic
    ? Array.from({ length: Math.round(Math.log10(ceiling / bottom)) + 1 }, (_, step) => bottom * 10 ** step)
    : [0, 1, 2, 3, 4].map((step) => (top * step) / 4);
  marks.forEach((mark, step) => {
    const line = Math.round(y(mark)) + 0.5;
    paper.strokeStyle = color(step === 0 ? "line" : "grid");
    paper.beginPath();
    paper.moveTo(LEFT, line);
    paper.lineTo(width - RIGHT, line);
    paper.stroke();
    if (step % 2 === 0 || chart.logarithmic) {
      paper.fillStyle = color("soft");
      paper.textAlign = "right";
      paper.fillText(mark === 0 ? "0" : onAxis(chart.show(mark)), LEFT - 8, Math.max(line, 7));
    }
  });
  paper.fillStyle = color("soft");
  for (let step = 0; step <= 4; step += 1) {
    const before = span * (1 - step / 4);
    const text = before === 0 ? "now" : before >= 60 ? `${+(before / 60).toFixed(2)} min` : `${before} s`;
    paper.textAlign = step === 0 ? "left" : step === 4 ? "right" : "center";
    paper.fillText(before === 0 ? text : `−${text}`, x(now - before), height - 8);
  }
  if (limit && limit <= top) {
    paper.strokeStyle = color("red");
    paper.setLineDash([5, 4]);
    paper.beginPath();
    paper.moveTo(LEFT, y(limit));
    paper.lineTo(width - RIGHT, y(limit));
    paper.stroke();
    paper.setLineDash([]);
  }

  paper.save();
  paper.beginPath();
  paper.rect(LEFT, 0, width - LEFT - RIGHT + 2, height - BOTTOM + 1);
  paper.clip();
  chart.lines.forEach((line, index) => {
    for (const run of runs(shown, series[index])) {
      const shape = () => {
        paper.beginPath();
        run.forEach(([when, value], step) => (step === 0 ? paper.moveTo(x(when), y(value)) : paper.lineTo(x(when), y(value))));
      };
      if (line.fill) {
        shape();
        paper.lineTo(x(run.at(-1)[0]), y(bottom));
        paper.lineTo(x(run[0][0]), y(bottom));
        paper.closePath();
        const wash = paper.createLinearGradient(0, TOP, 0, height - BOTTOM);
        wash.addColorStop(0, `${color(line.color)}55`);
        wash.addColorStop(1, `${color(line.color)}05`);
        paper.fillStyle = wash;
        paper.fill();
      }
      paper.strokeStyle = color(line.color);
      paper.lineWidth = 1.8;
      paper.lineJoin = "round";
      if (run.length === 1) {
        paper.fillStyle = color(line.color);
        paper.beginPath();
        paper.arc(x(run[0][0]), y(run[0][1]), 2.4, 0, 7);
        paper.fill();
      } else {
        shape();
        paper.stroke();
      }
    }
  });
  if (pointed !== null && at) {
    paper.strokeStyle = color("soft");
    paper.lineWidth = 1;
    paper.beginPath();
    paper.moveTo(x(at.at), TOP);
    paper.lineTo(x(at.at), height - BOTTOM);
    paper.stroke();
    chart.lines.forEach((line) => {
      const value = line.of(at);
      if (value === null) return;
      paper.fillStyle = color(line.color);
      paper.strokeStyle = color("card");
      paper.lineWidth = 2;
      paper.beginPath();
      paper.arc(x(at.at), y(value), 4, 0, 7);
      paper.fill();
      paper.stroke();
    });
  }
  paper.restore();

  const told = chart.lines.map((line, index) => {
    const text = at ? chart.show(line.of(at)) : "–";
    chart.values[index].textContent = text;
    return `${line.name} ${text}`;
  });
  canvas.setAttribute("aria-label", `${chart.title}: ${told.join(", ")}`);
}

/** Powers of ten below and above all values, at least two apart. */
function decades(series) {
  const values = series.flat().filter((value) => value > 0);
  const low = values.length ? Math.floor(Math.log10(Math.min(...values))) : -4;
  const high = values.length ? Math.ceil(Math.log10(Math.max(...values))) : -1;
  return [10 ** low, 10 ** Math.max(high, low + 2)];
}

/** The parts of a line that have values, one after the other. */
function runs(shown, values) {
  const all = [];
  let run = [];
  shown.forEach((p, index) => {
    const isGap = run.length > 0 && p.at - run.at(-1)[0] > 4 * interval();
    if (values[index] === null || isGap) {
      if (run.length) all.push(run);
      run = [];
    }
    if (values[index] !== null) run.push([p.at, values[index]]);
  });
  if (run.length) all.push(run);
  return all;
}

// ---- Tiles ----

const TILES = [
  { title: "Requests", of: (p) => [count(p.rate("requests")), "/s", `${count(p.live.requests)} in all`] },
  {
    title: "Server errors", of: (p) => {
      const rate = p.status(4);
      return [count(rate), "/s", `${count(p.live.responses[4])} in all`, rate > 0 ? "bad" : ""];
    },
  },
  { title: "Latency p99", of: (p) => [...unit(time(p.latency("p99"))), `p50 ${time(p.latency("p50"))}`] },
  {
    title: "Queue", of: (p) => {
      const share = p.live.queue_length ? p.live.queued / p.live.queue_length : 0;
      const oldest = p.live.queue_age > 0 ? `oldest ${time(p.live.queue_age)}` : `${count(p.live.active)} being answered`;
      return [count(p.live.queued), `of ${count(p.live.queue_length)}`, oldest, share > 0.8 ? "bad" : share > 0.4 ? "warn" : ""];
    },
  },
  { title: "Connections", of: (p) => [count(p.live.connections), "", `${count(p.live.connections_accepted)} so far${p.live.connections_refused ? `, ${count(p.live.connections_refused)} refused` : ""}`] },
  { title: "Sent", of: (p) => [...unit(bytes(p.rate("bytes_sent")), "/s"), `received ${bytes(p.rate("bytes_received"))}/s`] },
  { title: "Cache", of: (p) => [...unit(percent(p.hitRate)), `${responses(p.live.cached)}, ${bytes(p.live.cached_bytes)}`] },
  { title: "WebSockets", of: (p) => [count(p.live.websockets), "", `${count(p.rate("messages_sent"))}/s out, ${count(p.rate("messages_received"))}/s in`] },
];

const responses = (number) => `${count(number)} response${number === 1 ? "" : "s"}`;

function unit(text, behind = "") {
  const [number, word = ""] = text.split(" ");
  return [number, word + behind];
}

function makeTiles() {
  for (const tile of TILES) {
    tile.value = element("strong", { textContent: "–" });
    tile.more = element("p", { textContent: " " });
    tile.box = element("article", { className: "tile" }, element("h2", { textContent: tile.title }), tile.value, tile.more);
    $("tiles").append(tile.box);
  }
}

function showTiles() {
  const p = points.at(-1);
  if (!p) return;
  for (const tile of TILES) {
    const [value, unitOf, more, state = ""] = tile.of(p);
    tile.value.replaceChildren(value, ...(unitOf ? [element("small", { textContent: unitOf })] : []));
    tile.more.textContent = more;
    tile.more.title = more;
    tile.box.className = `tile ${state}`;
  }
}

// ---- What was refused ----

const CAUSES = {
  QueueFull: "the queue was full", ConnLimit: "connection limit of a URL group", Disabled: "switched off",
  AppOffline: "the application has failed", AppShutdown: "the application has ended", AppPoolTimer: "the application was too busy",
  "N/A": "nobody serves the URL",
};

const REJECTED = {
  400: "malformed", 404: "served by nobody", 405: "method not allowed", 408: "took too long", 411: "no length", 413: "content too long",
  414: "target too long", 417: "expects too much", 421: "another host", 426: "another protocol", 431: "head too long", 501: "not known here", 505: "version not spoken",
};

function showRefusals() {
  const live = points.at(-1)?.live;
  if (!live) return;
  const earlier = points.find((p) => p.at >= live.at - 60 && p.live.requests <= live.requests)?.live ?? live;
  const rows = [];
  const add = (table, className, word) => {
    for (const [key, value] of Object.entries(live[table])) {
      const fresh = value - (earlier[table][key] ?? 0);
      rows.push({ className, name: word(key), title: key, value, fresh });
    }
  };
  add("unavailable", "cause", (key) => `503 ${key}`);
  add("rejected", "cause mild", (key) => `${key} ${REJECTED[key] ?? "refused as it was"}`);
  add("timed_out", "cause mild", (key) => key.replace(/^Timer_/, "timer "));
  rows.sort((one, two) => two.value - one.value);
  const most = Math.max(1, ...rows.map((row) => row.value));
  const made = rows.slice(0, 14).map((row) => {
    const bar = element("i");
    bar.style.width = `${(row.value / most) * 100}%`;
    const fresh = row.fresh > 0 ? [element("small", { textContent: `+${count(row.fresh)} in a minute` })] : [];
    return element("div", { className: row.className, title: CAUSES[row.title] ?? row.title },
      element("span", { textContent: row.name }), element("div", {}, bar), element("b", {}, count(row.value), ...fresh));
  });
  $("refusals").replaceChildren(...(made.length ? made : [element("p", { textContent: "Nothing was refused so far." })]));
  $("refusals-hint").textContent = live.refused ? `${count(live.refused)} by the application's queue` : "";
}

// ---- Tables ----

/** Fills a table's body; what is the same stays, so that a button does not vanish while it is pressed. */
function fill(table, rows, cells, whenEmpty) {
  const body = $(table).tBodies[0];
  const columns = $(table).tHead.rows[0]?.cells.length ?? 1;
  if (rows.length === 0) {
    body.replaceChildren(element("tr", {}, element("td", { className: "empty", colSpan: columns, textContent: whenEmpty })));
    return;
  }
  const there = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  const wanted = rows.map((row) => {
    const [key, texts, action] = cells(row);
    let line = there.get(key);
    if (!line) {
      line = element("tr", {}, ...texts.map(([, className]) => element("td", { className: className ?? "" })));
      line.dataset.key = key;
      if (action) line.append(element("td", { className: "action" }, action()));
    }
    texts.forEach(([content], index) => {
      const cell = line.cells[index];
      if (content instanceof Node) {
        if (cell.textContent !== content.textContent || cell.firstChild?.className !== content.className) cell.replaceChildren(content);
      } else if (cell.textContent !== content) {
        cell.textContent = content;
        cell.title = content.length > 40 ? content : "";
      }
    });
    return line;
  });
  // Rows that keep their places are not touched.
  const isSame = body.rows.length === wanted.length && wanted.every((line, index) => body.rows[index] === line);
  if (!isSame) body.replaceChildren(...wanted);
}

const pill = (text, kind = "") => element("span", { className: `pill ${kind}`, textContent: text });

const OWNERS = { application: "good", administration: "blue", metrics: "blue", reserved: "violet", other: "" };
let lastNamespace = null;

function showNamespace(namespace) {
  const now = Date.now() / 1000;
  const before = lastNamespace;
  const rate = (url) => {
    const earlier = before?.urls.get(url.url);
    return earlier === undefined || url.requests === undefined || url.requests < earlier ? "–" : count((url.requests - earlier) / (now - before.at));
  };
  const registered = new Set(namespace.urls.map(({ url }) => url));
  const reserved = namespace.reservations.filter((url) => !registered.has(url)).map((url) => ({ url, owner: "reserved" }));
  const state = (url) => {
    if (url.owner === "reserved") return pill("nobody serves it", "amber");
    return url.active ? pill("takes requests", "good") : pill("switched off", "red");
  };
  fill("namespace", [...namespace.urls, ...reserved], (url) => [`${url.owner} ${url.url}`, [
    [url.url, "wide"], [pill(url.owner, OWNERS[url.owner])], [state(url)],
    [count(url.requests), "number"], [rate(url), "number"], [url.logged === undefined ? "–" : url.logged ? "yes" : "no"],
  ]], "The driver tells of no URLs.");
  lastNamespace = { at: now, urls: new Map(namespace.urls.map((url) => [url.url, url.requests])) };
  $("endpoints").textContent = `listening on ${namespace.endpoints.join(", ")}`;
  const rows = namespace.tls.flatMap((binding) => binding.certificates.map((certificate) => ({ key: binding.key, ...certificate })));
  fill("tls", rows, (row) => {
    const days = Math.floor((row.not_after - now) / 86400);
    const date = new Date(row.not_after * 1000).toISOString().slice(0, 10);
    const left = days < 0 ? pill(`${date}, expired`, "red") : pill(`${date}, ${days} days`, days < 15 ? "amber" : "good");
    return [`${row.key} ${row.thumbprint}`, [[row.key], [row.names.join(", ") || row.subject, "wide"], [left]]];
  }, "No certificates: nothing is served over TLS.");
  const soonest = Math.min(...rows.map((row) => row.not_after));
  $("tls-hint").textContent = rows.length ? `the first ends in ${age(soonest - now)}` : "";
}

let kind = "http";

const HEADS = {
  http: ["Number", "Peer", "Protocol", "Doing", "#Requests", "#Received", "#Sent", "#Open for", ""],
  websocket: ["Guid", "Peer", "Path", "Sub-protocol", "User", "#Messages", "#Received", "#Sent", "#Waiting", "#Open for", ""],
};

function makeHeads() {
  const cells = HEADS[kind].map((name) => element("th", { className: name.startsWith("#") ? "number" : "", textContent: name.replace("#", "") }));
  $("connections").tHead.replaceChildren(element("tr", {}, ...cells));
  $("connections").tBodies[0].replaceChildren();
}

function activity(connection) {
  const what = connection.activity;
  if (typeof what === "object") return pill(what.requests === 1 ? "request" : `${what.requests} requests`, "good");
  return { idle: pill("idle"), receiving: pill("receiving", "blue"), opaque: pill("upgraded", "violet"), closing: pill("closing", "amber") }[what] ?? pill(what);
}

function showConnections(list) {
  $("http-count").textContent = count(list.http_count);
  $("websocket-count").textContent = count(list.websocket_count);
  const now = Date.now() / 1000;
  const button = (id) => () => {
    const made = element("button", { type: "button", textContent: "Disconnect" });
    made.addEventListener("click", () => act(made, `api/connections/${id}/disconnect`).then(() => ask("connections")));
    return made;
  };
  const rows = list[kind];
  if (kind === "http") {
    fill("connections", rows, (row) => [`${row.id}`, [
      [`${row.id}`], [row.peer], [[row.version ?? "–", row.tls].filter(Boolean).join(", ")], [activity(row)],
      [count(row.requests), "number"], [bytes(row.bytes_received), "number"], [bytes(row.bytes_sent), "number"], [age(now - row.since), "number"],
    ], button(row.id)], "No connections.");
  } else {
    fill("connections", rows, (row) => [row.id, [
      [row.id.slice(0, 13) + "…"], [row.peer], [row.url, "wide"], [row.protocol ?? "–"], [row.user ?? "–"],
      [count(row.messages_received), "number"], [bytes(row.bytes_received), "number"], [bytes(row.bytes_sent), "number"],
      [count(row.queued), "number"], [age(now - row.since), "number"],
    ], button(row.id)], "No WebSocket connections.");
  }
  const all = list[`${kind}_count`];
  $("connections-hint").textContent = rows.length < all ? `${rows.length} of ${count(all)} are shown` : "";
}

function showCache(told) {
  told.sort((one, two) => two.hits - one.hits);
  fill("cache", told.slice(0, 100), (row) => [row.url, [
    [row.url, "wide"], [`${row.status}`], [[row.content_type, row.content_encoding].filter(Boolean).join(", "), "wide"],
    [bytes(row.content_bytes), "number"], [count(row.hits), "number"], [row.time_left === null ? "until flushed" : age(row.time_left), "number"],
  ], () => {
    const made = element("button", { type: "button", textContent: "Flush" });
    made.addEventListener("click", () => act(made, "api/cache/flush", { url: row.url }).then(() => ask("cache")));
    return made;
  }], "Nothing is cached.");
  $("cache-hint").textContent = told.length ? responses(told.length) : "";
}

// ---- The server ----

let socket = null;
let tries = 0;

function say(state, text) {
  $("link").className = `link ${state}`;
  $("link").lastChild.textContent = text;
}

function ask(what, more = {}) {
  if (socket?.readyState !== WebSocket.OPEN) return;
  if (what === "connections") more = { address: $("address").value.trim() || undefined, ...more };
  socket.send(JSON.stringify({ ask: what, ...more }));
}

function connect() {
  const url = new URL("live", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const mine = new WebSocket(url);
  socket = mine;
  mine.addEventListener("message", (event) => {
    const told = JSON.parse(event.data);
    if (told.type === "hello") greet(told);
    else if (told.type === "live") { append(told.live); show(); }
    else if (told.type === "connections") showConnections(told.connections);
    else if (told.type === "namespace") showNamespace(told.namespace);
    else if (told.type === "cache") showCache(told.responses);
  });
  mine.addEventListener("close", () => {
    if (socket !== mine) return;
    socket = null;
    say("lost", "no connection, trying again");
    tries += 1;
    setTimeout(again, Math.min(4000, 250 * 2 ** Math.min(tries, 4)));
  });
}

/** Connects again, unless the session is over. */
async function again() {
  try {
    const answer = await fetch("api/server");
    if (answer.status === 401) {
      location.replace("sign-in");
      return;
    }
  } catch {
    // The server is not there; the next try will tell.
  }
  connect();
}

function greet(told) {
  const isAnother = server !== null && server.started !== told.server.started;
  server = told.server;
  tries = 0;
  say("live", "live");
  if (isAnother) notice("");
  for (const live of told.history) append(live);
  $("version").textContent = server.version;
  showAbout();
  for (const what of ["connections", "namespace", "cache"]) ask(what);
  show();
}

function showAbout() {
  if (!server) return;
  const threads = server.io_threads ? `, ${server.io_threads} I/O threads` : "";
  const parts = [`process ${server.process}`, `up ${age(Date.now() / 1000 - server.started)}`, `${server.mode}, ${server.handler_threads} handler threads`];
  if (server.event_loop) parts.push(`${server.event_loop}${threads}`);
  $("about").textContent = parts.join(" · ");
}

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = text === "";
}

/** Has something done by a button. */
async function act(button, path, content) {
  button.disabled = true;
  notice("");
  try {
    const answer = await fetch(path, {
      method: "POST",
      ...(content && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) }),
    });
    if (answer.status === 401) location.replace("sign-in");
    // A connection that has gone by itself is gone all the same.
    else if (!answer.ok && answer.status !== 404) notice((await answer.json().catch(() => ({}))).error ?? `Status ${answer.status}`);
  } catch {
    notice("The server does not answer.");
  } finally {
    button.disabled = false;
  }
}

function show() {
  if (document.hidden) return;
  showTiles();
  showRefusals();
  draw();
}

// ---- What a person does ----

function choose(group, name, then) {
  for (const button of document.querySelectorAll(`[data-${group}]`)) {
    button.addEventListener("click", () => {
      for (const other of document.querySelectorAll(`[data-${group}]`)) other.classList.toggle("on", other === button);
      then(button.dataset[name]);
    });
  }
}

function setTheme(theme) {
  document.documentElement.classList.remove("light", "dark");
  if (theme) document.documentElement.classList.add(theme);
  draw();
}

makeTiles();
makeCharts();
makeHeads();
setTheme(localStorage.getItem("tidegate-theme"));
choose("span", "span", (value) => { span = Number(value); draw(); });
choose("kind", "kind", (value) => { kind = value; makeHeads(); ask("connections"); });
$("theme").addEventListener("click", () => {
  const isDark = getComputedStyle(document.documentElement).colorScheme === "dark";
  const theme = isDark ? "light" : "dark";
  localStorage.setItem("tidegate-theme", theme);
  setTheme(theme);
});
$("address").addEventListener("input", () => ask("connections"));
$("flush-cache").addEventListener("click", (event) => act(event.target, "api/cache/flush").then(() => ask("cache")));
$("flush-logs").addEventListener("click", (event) => act(event.target, "api/logs/flush"));
$("sign-out").addEventListener("click", (event) => act(event.target, "sign-out").then(() => location.replace("sign-in")));
document.addEventListener("visibilitychange", show);
window.addEventListener("resize", draw);
window.matchMedia("(prefers-color-scheme: light)").addEventListener("change", draw);
setInterval(() => {
  if (document.hidden) return;
  showAbout();
  ask("connections");
}, 1000);
setInterval(() => {
  if (document.hidden) return;
  ask("namespace");
  ask("cache");
}, 3000);
connect();
