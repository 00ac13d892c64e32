/* The table as it stands in its file, packed by gzip. */
const packed = Uint8Array.from(atob(document.getElementById("csv").textContent), (c) => c.charCodeAt(0));
const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
const text = await new Response(unpacked).text();

/* A line of CSV may hold quoted commas, quotes and line breaks. */
function parse(csv) {
  const rows = [];
  let row = [], cell = "", quoted = false;
  for (let i = 0; i < csv.length; i++) {
    const c = csv[i];
    if (quoted) {
      if (c !== '"') cell += c;
      else if (csv[i + 1] === '"') { cell += c; i++; }
      else quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === ",") { row.push(cell); cell = ""; }
    else if (c === "\n") { row.push(cell); rows.push(row); row = []; cell = ""; }
    else if (c !== "\r") cell += c;
  }
  if (cell || row.length) { row.push(cell); rows.push(row); }
  return rows;
}

const SHOWN = ["scenario", "metric", "value", "unit", "verdict", "reference", "limit", "ratio"];
const NUMBERS = new Set(["value", "reference", "ratio", "limit"]);
const [names, ...records] = parse(text);
const shown = SHOWN.filter((name) => names.includes(name));
const column = Object.fromEntries(names.map((name, index) => [name, index]));
const body = document.querySelector("#all tbody");
const filter = document.getElementById("filter");
const judged = document.getElementById("judged");

const rows = records.map((record) => {
  const tr = document.createElement("tr");
  for (const name of shown) {
    const td = document.createElement("td");
    td.textContent = record[column[name]];
    if (NUMBERS.has(name)) td.className = "number";
    tr.append(td);
  }
  return { record, tr, words: shown.map((name) => record[column[name]]).join(" ").toLowerCase() };
});

function hasLimit(record) {
  const verdict = record[column.verdict]; // empty where nothing is asked of the figure
  return (verdict !== "" && verdict !== "pass") || ("limit" in column && record[column.limit] !== "");
}

function show() {
  const wanted = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const row of rows) {
    const fits = wanted.every((word) => row.words.includes(word)) && (!judged.checked || hasLimit(row.record));
    row.tr.hidden = !fits;
    count += fits;
  }
  document.getElementById("count").textContent = `${count} of ${rows.length} rows`;
}

function sortBy(name, head) {
  const up = head.getAttribute("aria-sort") !== "ascending";
  for (const other of document.querySelectorAll("#all thead th")) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const at = column[name], sign = up ? 1 : -1;
  const compare = NUMBERS.has(name)
    ? (a, b) => (a === "") - (b === "") || sign * (Number(a) - Number(b))
    : (a, b) => sign * a.localeCompare(b, "en", { numeric: true });
  rows.sort((a, b) => compare(a.record[at], b.record[at]));
  body.append(...rows.map((row) => row.tr));
}

const heads = document.createElement("tr");
for (const name of shown) {
  const th = document.createElement("th"), button = document.createElement("button");
  th.scope = "col";
  th.setAttribute("aria-sort", "none");
  if (NUMBERS.has(name)) th.className = "number";
  button.type = "button";
  button.textContent = name;
  button.addEventListener("click", () => sortBy(name, th));
  th.append(button);
  heads.append(th);
}
document.querySelector("#all thead").append(heads);
body.append(...rows.map((row) => row.tr));
filter.addEventListener("input", show);
judged.addEventListener("change", show);
show();

document.getElementById("download").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = "results.csv";
  link.click();
  URL.revokeObjectURL(link.href);
});

/* Marks of a chart say what they are on hover; with the keyboard, arrows go from one to the next. */
const tip = document.getElementById("tip");
function tell(mark, x, y) {
  tip.textContent = mark.getAttribute("aria-label");
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(6, Math.min(x + 14, innerWidth - box.width - 6))}px`;
  tip.style.top = `${y + 18 + box.height > innerHeight ? y - box.height - 10 : y + 18}px`;
}
for (const chart of document.querySelectorAll("[data-chart]")) {
  const marks = [...chart.querySelectorAll(".role-mark [aria-label]")].map((mark) => {
    const link = mark.closest("a");
    if (link) link.setAttribute("aria-label", mark.getAttribute("aria-label"));
    else mark.setAttribute("role", "img");
    mark.setAttribute("data-mark", "");
    return link || mark;
  });
  marks.forEach((mark, index) => {
    mark.setAttribute("tabindex", index ? "-1" : "0");
    mark.addEventListener("pointermove", (event) => tell(mark, event.clientX, event.clientY));
    mark.addEventListener("pointerleave", () => { tip.hidden = true; });
    mark.addEventListener("focus", () => {
      const box = mark.getBoundingClientRect();
      tell(mark, box.left + box.width / 2, box.top + box.height / 2);
    });
    mark.addEventListener("blur", () => { tip.hidden = true; });
    mark.addEventListener("keydown", (event) => {
      const move = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") tip.hidden = true;
      if (!move) return;
      event.preventDefault();
      const next = marks[(index + move + marks.length) % marks.length];
      mark.setAttribute("tabindex", "-1");
      next.setAttribute("tabindex", "0");
      next.focus();
    });
  });
}

/* A link to a scenario opens it. */
function reveal() {
  const place = location.hash && document.getElementById(location.hash.slice(1));
  if (place && place.tagName === "DETAILS") { place.open = true; place.scrollIntoView(); }
}
addEventListener("hashchange", reveal);
reveal();
