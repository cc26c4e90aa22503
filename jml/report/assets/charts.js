"use strict";

// Makes an element of a class with a text, a child or several. Text is never markup.
function make(tag, className, content) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (content instanceof Node) element.append(content);
  else if (Array.isArray(content)) element.append(...content);
  else if (content !== undefined) element.textContent = content;
  return element;
}

function draw(tag, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

const percent = (value) => (100 * value).toFixed(1);
const count = (value) => value.toLocaleString("en");

// Round numbers that divide a range into about `steps` steps. The numbers are at least
// `least` apart, which is 1 on an axis of whole numbers.
function ticks(low, high, steps, least = 0) {
  const rough = Math.max((high - low) / steps || 1, least);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const found = [];
  const first = Math.ceil(low / step - 1e-9) || 0; // and never -0
  for (let i = first; i * step <= high + step * 1e-9; i++) found.push(i * step);
  return found;
}

function powersOfTen(low, high) {
  const found = [];
  const digits = (value) => Math.log10(value);
  for (let n = Math.ceil(digits(low) - 1e-9); n <= digits(high) + 1e-9; n++) found.push(n < 0 ? +`1e${n}` : 10 ** n);
  return found;
}

// A number on an axis: whole ones in groups of digits, shares with as many as they need.
const plain = (value) => (value < 1 ? String(+value.toPrecision(3)) : count(value));

// Draws a curve with axes, and shows the values of the point nearest to the pointer.
// Options: caption; x (name of the x axis); logarithmic (x axis); logarithmicY; unit (the
// y axis is a share, and goes from 0 to 1 unless it is logarithmic); second (use the
// second colour); dots (mark the points); height; lines
// ([name, height] of dashed lines, which the caption names).
function lineChart(figure, points, options) {
  const width = 520, height = options.height || 260;
  const left = 46, right = 14, top = 12, bottom = 38;
  const lines = options.lines || [];
  const xs = points.map((point) => point[0]);
  const ys = points.map((point) => point[1]).concat(lines.map((line) => line[1]));
  const low = [Math.min(...xs), options.unit && !options.logarithmicY ? 0 : Math.min(...ys)];
  const high = [Math.max(...xs), options.unit ? 1 : Math.max(...ys)];
  if (high[0] === low[0]) high[0] += 1;
  if (high[1] === low[1]) high[1] += 1;
  const warp = options.logarithmic ? Math.log : (value) => value;
  const x = (value) => left + ((warp(value) - warp(low[0])) / (warp(high[0]) - warp(low[0]))) * (width - left - right);
  const warpY = options.logarithmicY ? Math.log : (value) => value;
  const y = (value) => height - bottom - ((warpY(value) - warpY(low[1])) / (warpY(high[1]) - warpY(low[1]))) * (height - top - bottom);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": options.caption });
  for (const value of options.logarithmicY ? powersOfTen(low[1], high[1]) : ticks(low[1], high[1], 5)) {
    svg.append(draw("line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }));
    svg.append(draw("text", { x: left - 7, y: y(value) + 4, "text-anchor": "end" }, options.unit ? `${+(100 * value).toPrecision(3)}%` : +value.toPrecision(6)));
  }
  for (const value of options.logarithmic ? powersOfTen(low[0], high[0]) : ticks(low[0], high[0], 6, 1)) {
    svg.append(draw("text", { x: x(value), y: height - bottom + 18, "text-anchor": "middle" }, plain(value)));
  }
  svg.append(draw("text", { x: (left + width - right) / 2, y: height - 3, "text-anchor": "middle" }, options.x));
  for (const [, value] of lines) svg.append(draw("line", { class: "dash", x1: left, x2: width - right, y1: y(value), y2: y(value) }));
  const path = points.map((point, i) => `${i ? "L" : "M"}${x(point[0]).toFixed(1)},${y(point[1]).toFixed(1)}`).join("");
  svg.append(draw("path", { class: options.second ? "curve second" : "curve", d: path }));
  if (options.dots || points.length === 1) {
    for (const point of points) svg.append(draw("circle", { class: "dot", cx: x(point[0]), cy: y(point[1]), r: 3.5 }));
  }
  const cursor = draw("line", { class: "cursor", y1: top, y2: height - bottom, visibility: "hidden" });
  const dot = draw("circle", { class: "dot", r: 4, visibility: "hidden" });
  svg.append(cursor, dot);
  const readout = make("div", "readout");
  readout.hidden = true;
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * width;
    const gap = (point) => Math.abs(x(point[0]) - at);
    const nearest = points.reduce((best, point) => (gap(point) < gap(best) ? point : best));
    for (const [name, value] of Object.entries({ x1: x(nearest[0]), x2: x(nearest[0]), visibility: "visible" })) cursor.setAttribute(name, value);
    for (const [name, value] of Object.entries({ cx: x(nearest[0]), cy: y(nearest[1]), visibility: "visible" })) dot.setAttribute(name, value);
    readout.textContent = `${options.x} ${plain(nearest[0])}: ${options.unit ? percent(nearest[1]) + "%" : +nearest[1].toPrecision(4)}`;
    readout.hidden = false;
  });
  svg.addEventListener("pointerleave", () => {
    cursor.setAttribute("visibility", "hidden");
    dot.setAttribute("visibility", "hidden");
    readout.hidden = true;
  });
  const dashed = lines.map(([name, value]) => `${name} ${percent(value)}%`).join(", ");
  figure.append(make("figcaption", "", dashed ? `${options.caption}; dashed: ${dashed}` : options.caption), svg, readout);
}
