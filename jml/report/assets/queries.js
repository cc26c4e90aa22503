// The image of an item or, in a report without images, the name of its class.
function thumbnail(data, item, side) {
  const name = className(data, item);
  let element;
  if (data.images) {
    const sheet = Math.floor(item / data.columns ** 2);
    const place = item % data.columns ** 2;
    element = make("div", `thumb sheet${sheet}`);
    element.setAttribute("role", "img");
    element.style.backgroundSize = `calc(${data.columns} * var(--side, 68px)) auto`;
    element.style.backgroundPosition = `calc(${-(place % data.columns)} * var(--side, 68px)) calc(${-Math.floor(place / data.columns)} * var(--side, 68px))`;
    element.setAttribute("aria-label", name);
  } else {
    element = make("div", "thumb word", name);
  }
  if (side) element.style.setProperty("--side", side);
  return element;
}

const className = (data, item) => data.classes.name[data.items.class[item]];

function itemWords(data, item) {
  const where = data.items.searched[item] ? "gallery" : "query";
  return `${className(data, item)}, ${where} ${data.items.number[item]}`;
}

// An item with words beside it, and in the same line its neighbours, right or wrong.
function neighbourRow(data, item, words, neighbours, right) {
  const near = neighbours.map((neighbour, i) => {
    const element = make("div", right[i] ? "item right" : "item wrong", thumbnail(data, neighbour));
    element.append(make("span", "mark", right[i] ? "✓" : "✗"));
    element.title = `${i + 1}: ${itemWords(data, neighbour)}`;
    return element;
  });
  const head = [make("b", "", className(data, item)), ...words.map((text) => make("div", "", text))];
  return make("li", "", [make("div", "query", [thumbnail(data, item), make("div", "words", head)]), make("div", "near", near)]);
}

const PAGE = 20;

// Shows the list of queries, and lets the reader select from it. Returns a function that
// selects a class, and one that tells whether a class is selected.
function showQueries(data) {
  const { item, precision, neighbours, right } = data.queries;
  const byId = (id) => document.getElementById(id);
  const [order, chosen, wrong, rows, more] = ["order", "class", "wrong", "rows", "more"].map(byId);
  const names = [...new Set(item.map((query) => className(data, query)))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  byId("class-names").append(...names.map((name) => Object.assign(make("option"), { value: name })));
  const known = new Set(names);
  let selection = [], shown = 0, fits;

  function row(query) {
    const words = `query ${count(data.items.number[item[query]])} · AP ${percent(precision[query])}`;
    return neighbourRow(data, item[query], [words], neighbours[query], right[query]);
  }

  function showMore() {
    rows.append(...selection.slice(shown, shown + PAGE).map(row));
    shown = Math.min(shown + PAGE, selection.length);
    more.hidden = shown >= selection.length;
  }

  function select() {
    const wanted = chosen.value.trim(), exact = known.has(wanted);
    fits = (name) => (exact ? name === wanted : name.toLowerCase().includes(wanted.toLowerCase()));
    selection = item.map((_, query) => query)
      .filter((query) => fits(className(data, item[query])) && !(wrong.checked && right[query][0]));
    if (order.value === "worst") selection.sort((a, b) => precision[a] - precision[b]);
    if (order.value === "best") selection.sort((a, b) => precision[b] - precision[a]);
    byId("count").textContent = `${count(selection.length)} of ${count(item.length)} queries`;
    rows.replaceChildren();
    shown = 0;
    showMore();
  }

  for (const control of [order, wrong]) control.addEventListener("change", select);
  chosen.addEventListener("input", select);
  more.addEventListener("click", showMore);
  document.querySelector("#queries form").addEventListener("submit", (event) => event.preventDefault());
  select();
  function showClass(name) {
    chosen.value = name;
    select();
    chosen.dispatchEvent(new Event("input"));
    byId("queries").scrollIntoView({ behavior: "smooth" });
  }
  return [showClass, (name) => fits(name)];
}
