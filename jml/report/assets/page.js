const data = JSON.parse(document.getElementById("data").textContent);
const section = (id) => document.getElementById(id);
const NAMES = { map: "MAP", "map@r": "MAP@R", r_precision: "R-precision", mrr: "MRR", nmi: "NMI", ami: "AMI" };

function metricName(name) {
  const [stem, k] = name.split("@");
  return NAMES[name] || (stem === "recall" ? `Recall@${k}` : `${stem.replace("map", "MAP").replace("_", " ")}@${k}`);
}

function showHead() {
  section("title").textContent = data.title;
  section("facts").append(...data.facts.map(([name, value]) => make("span", "", [make("b", "", value), document.createTextNode(` ${name}`)])));
  section("metrics").querySelector(".cards").append(...data.metrics.map(([name, value, low, high, meaning]) => make("div", "card", [
    make("div", "name", metricName(name)),
    make("div", "value", percent(value)),
    make("div", "interval", low < high ? `${percent(low)} – ${percent(high)}` : " "),
    make("div", "meaning", meaning),
  ])));
  section("metrics").querySelector(".note").textContent = `Values are in percent. A range below a value is its ${+percent(data.confidence)} % interval over resampled queries or, for NMI and AMI, the range over seeds of k-means.`;
}

function showCurves() {
  const { loss, recall, baselines } = data.training;
  if (loss.length) lineChart(section("loss"), loss, { caption: "Loss", x: "step" });
  if (recall.length) lineChart(section("recall"), recall, { caption: "Recall@1 on the test images", x: "step", unit: true, second: true, dots: true, lines: baselines });
  section("training").hidden = !loss.length && !recall.length;
  lineChart(section("cmc").querySelector("figure"), data.cmc, { caption: "Queries with an item of their class among the first k", x: "k", unit: true, logarithmic: true, height: 230 });
}

function showVerification() {
  const found = data.verification;
  section("verification").hidden = !found;
  if (!found) return;
  const axes = { x: "FAR", unit: true, logarithmic: true, height: 230 };
  lineChart(section("roc"), found.roc, { ...axes, caption: "ROC: pairs of one class that are accepted (TAR)" });
  if (found.det.length) lineChart(section("det"), found.det, { ...axes, logarithmicY: true, second: true, caption: "DET: pairs of one class that are rejected (1 - TAR)" });
  const rows = found.points.map(([far, threshold, tar]) => make("tr", "", [plain(far), threshold.toPrecision(4), percent(tar)].map((text) => make("td", "", text))));
  section("verification").querySelector(".scroll").hidden = !rows.length;
  section("verification").querySelector("table").append(make("thead", "", make("tr", "", ["FAR, at most", "Distance, at most", "TAR, %"].map((text) => make("th", "", text)))), make("tbody", "", rows));
  const drawn = `${count(found.total)}, ${found.by_class ? "of whole classes, " : ""}drawn at random`;
  const pairs = `All pairs of ${count(found.items)} items of ${count(found.classes)} classes are compared${found.whole ? "" : ` (of ${drawn})`}: ${count(found.genuine)} of one class and ${count(found.impostors)} of two. A threshold of the distance accepts a pair as the same; FAR is the share of the pairs of two classes that it accepts.`;
  const off = found.auc_error >= 5e-5 ? ` ± ${+found.auc_error.toPrecision(1)}` : "";
  section("verification").querySelector(".note").textContent = `${pairs} AUC ${found.auc.toFixed(4)}${off}; equal error rate ${percent(found.eer)}% at distance ${+found.eer_threshold.toPrecision(4)}.`;
}

function showConfusions(showClass) {
  const link = (index) => {
    const button = make("button", "", data.classes.name[index]);
    button.type = "button";
    button.addEventListener("click", () => showClass(data.classes.name[index]));
    return button;
  };
  section("confusions").hidden = !data.confusions.length;
  section("confusions").querySelector("ol").append(...data.confusions.map(({ classes, total, queries, example }) => make("li", "", [
    ...example.map((item) => thumbnail(data, item, "56px")),
    make("div", "words", [link(classes[0]), document.createTextNode(" and "), link(classes[1]), make("div", "note", `${count(total)} of ${count(queries)} queries have a nearest neighbour of the other class`)]),
  ])));
}

function showSuspicious() {
  section("suspicious").hidden = !data.suspicious.length;
  section("suspicious").querySelector("ol").append(...data.suspicious.map(({ item, neighbours, right, same, other, others }) => neighbourRow(data, item, [
    itemWords(data, item).slice(className(data, item).length + 2),
    `${same} of ${neighbours.length} nearest have its label`,
    `${others} ${others === 1 ? "is" : "are"} ${data.classes.name[other]}`,
  ], neighbours, right)));
}

function showClasses(showClass) {
  const { name, queries, recall, map } = data.classes;
  const columns = [["Class", name], ["Queries", queries], ["Recall@1", recall], ["MAP", map]];
  const FEW = 15;
  let order = name.map((_, i) => i).filter((i) => queries[i]), sorted = 3, direction = 1, all = false;
  const table = section("classes").querySelector("table");
  const body = make("tbody");
  function fill() {
    const values = columns[sorted][1];
    order.sort((a, b) => direction * (typeof values[a] === "string" ? values[a].localeCompare(values[b], "en", { numeric: true }) : values[a] - values[b]));
    body.replaceChildren(...order.slice(0, all ? order.length : FEW).map((i) => {
      const button = make("button", "", name[i]);
      button.type = "button";
      button.addEventListener("click", () => showClass(name[i]));
      return make("tr", "", [make("td", "", button), make("td", "", count(queries[i])), make("td", "", percent(recall[i])), make("td", "", percent(map[i]))]);
    }));
    section("more-classes").hidden = all || order.length <= FEW;
  }
  const heads = columns.map(([title], i) => {
    const button = make("button", "", title);
    button.type = "button";
    button.addEventListener("click", () => {
      direction = sorted === i ? -direction : 1;
      sorted = i;
      fill();
    });
    return make("th", "", button);
  });
  table.append(make("thead", "", make("tr", "", heads)), body);
  section("more-classes").addEventListener("click", () => {
    all = true;
    fill();
  });
  fill();
}

function followTheme(repaint) {
  const root = document.documentElement, button = section("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  function apply() {
    root.dataset.theme = chosen || (system.matches ? "dark" : "light");
    button.textContent = root.dataset.theme === "dark" ? "☀ light" : "☾ dark";
    repaint();
  }
  button.addEventListener("click", () => {
    chosen = root.dataset.theme === "dark" ? "light" : "dark";
    apply();
  });
  system.addEventListener("change", apply);
  addEventListener("beforeprint", () => (root.dataset.theme = "light"));
  addEventListener("afterprint", apply);
  apply();
}

showHead();
showCurves();
showVerification();
const [showClass, isChosen] = showQueries(data);
const repaint = showMap(data, isChosen);
section("class").addEventListener("input", repaint);
showConfusions(showClass);
showSuspicious();
showClasses(showClass);
section("reproduce").querySelector("div").append(...data.reproduce.flatMap(([name, text]) => [make("div", "note", name), make("pre", "", text)]));
document.querySelector("nav").append(...[...document.querySelectorAll("main > section:not([hidden])")].map((part) => Object.assign(make("a", "", part.dataset.nav), { href: `#${part.id}` })));
followTheme(repaint);
