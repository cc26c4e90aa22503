// Draws the map on a canvas. Wheel, drag, pinch and buttons zoom and move it. A tip names
// the point nearest to the pointer. Points of the chosen class stand out.
function showMap(data, isChosen) {
  const stage = document.querySelector(".stage");
  const canvas = stage.querySelector("canvas");
  const tip = stage.querySelector(".tip");
  const { points, item, right } = data.map;
  const REACH = 14, LARGEST = 60;
  let view = { scale: 1, x: 0, y: 0 }, hovered = -1;

  const colour = (i) => `hsl(${(data.items.class[item[i]] * 137.508) % 360} 65% ${document.documentElement.dataset.theme === "dark" ? 65 : 42}%)`;
  const size = () => [canvas.clientWidth, canvas.clientHeight];
  function place(i) {
    const [width, height] = size();
    const unit = Math.min(width, height) - 40;
    return [
      ((points[i][0] - 0.5) * unit * view.scale) + width / 2 + view.x,
      ((points[i][1] - 0.5) * unit * view.scale) + height / 2 + view.y,
    ];
  }

  function paint() {
    const [width, height] = size();
    const ratio = window.devicePixelRatio || 1;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const radius = Math.min(3 + Math.log2(view.scale), 8);
    for (let i = 0; i < points.length; i++) {
      const [x, y] = place(i);
      if (x < -9 || y < -9 || x > width + 9 || y > height + 9) continue;
      pen.globalAlpha = isChosen(className(data, item[i])) ? 0.85 : 0.12;
      pen.fillStyle = pen.strokeStyle = colour(i);
      pen.beginPath();
      pen.arc(x, y, i === hovered ? radius + 3 : radius, 0, 7);
      if (right[i]) pen.fill();
      else {
        pen.lineWidth = 1.6;
        pen.stroke();
      }
    }
  }

  let waiting = false;
  function repaint() {
    // A finger scrolls the page while the whole map is shown, and else moves the map.
    canvas.style.touchAction = view.scale > 1 ? "none" : "pan-y";
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      paint();
    });
  }

  function zoom(factor, x, y) {
    const [width, height] = size();
    const scale = Math.min(Math.max(view.scale * factor, 1), LARGEST);
    const change = scale / view.scale;
    view = {
      scale,
      x: scale === 1 ? 0 : x - width / 2 - (x - width / 2 - view.x) * change,
      y: scale === 1 ? 0 : y - height / 2 - (y - height / 2 - view.y) * change,
    };
    repaint();
  }

  function move(right, down) {
    const reach = (view.scale * Math.min(...size())) / 2;
    const within = (value) => Math.max(-reach, Math.min(reach, value));
    if (view.scale > 1) view = { ...view, x: within(view.x + right), y: within(view.y + down) };
    tip.hidden = true;
    repaint();
  }

  function hover(x, y) {
    let best = REACH ** 2;
    const before = hovered;
    hovered = -1;
    for (let i = 0; i < points.length; i++) {
      const [px, py] = place(i);
      const gap = (px - x) ** 2 + (py - y) ** 2;
      if (gap < best) [best, hovered] = [gap, i];
    }
    tip.hidden = hovered < 0;
    if (hovered !== before) repaint();
    if (hovered < 0) return;
    const verdict = right[hovered] ? "first neighbour right" : "first neighbour wrong";
    tip.replaceChildren(thumbnail(data, item[hovered], "56px"), make("span", "", `${itemWords(data, item[hovered])}: ${verdict}`));
    const [width] = size();
    const [px, py] = place(hovered);
    tip.style.left = `${Math.max(6, Math.min(px + 14, width - 256))}px`;
    tip.style.top = `${Math.max(6, py - 84 < 6 ? py + 14 : py - 84)}px`;
  }

  const fingers = new Map();
  const spread = () => {
    const [a, b] = [...fingers.values()];
    return Math.hypot(a[0] - b[0], a[1] - b[1]);
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [event.offsetX, event.offsetY]);
    if (event.pointerType === "touch") hover(event.offsetX, event.offsetY);
  });
  canvas.addEventListener("pointermove", (event) => {
    const now = [event.offsetX, event.offsetY];
    const last = fingers.get(event.pointerId);
    if (!last) return hover(...now);
    if (fingers.size === 2) {
      const before = spread();
      fingers.set(event.pointerId, now);
      const [a, b] = [...fingers.values()];
      return zoom(spread() / (before || 1), (a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
    }
    fingers.set(event.pointerId, now);
    move(now[0] - last[0], now[1] - last[1]);
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => fingers.delete(event.pointerId));
  canvas.addEventListener("pointerleave", () => {
    hovered = -1;
    tip.hidden = true;
    repaint();
  });
  canvas.addEventListener("wheel", (event) => {
    // At the limits of the zoom, the wheel scrolls the page.
    if (event.deltaY > 0 ? view.scale === 1 : view.scale === LARGEST) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
  }, { passive: false });
  const centre = () => size().map((length) => length / 2);
  const zooms = { in: 1.6, out: 1 / 1.6, reset: 1e-9 };
  stage.querySelector(".zoom").addEventListener("click", (event) => {
    const factor = zooms[event.target.dataset.zoom];
    if (factor) zoom(factor, ...centre());
  });
  canvas.addEventListener("keydown", (event) => {
    const factor = { "+": 1.6, "-": 1 / 1.6, 0: 1e-9 }[event.key];
    if (factor) zoom(factor, ...centre());
    const step = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
    if (!step || view.scale === 1) return;
    event.preventDefault();
    move(...step);
  });
  new ResizeObserver(repaint).observe(canvas);
  const some = points.length < data.counted ? `${count(points.length)} of the ${count(data.counted)} queries` : `All ${count(points.length)} queries`;
  document.getElementById("map-note").textContent = `${some}, by ${data.map.method}. The nearest neighbour of a filled point is of the same class, that of a hollow point is not. The class chosen above stands out. Zoom with the wheel, two fingers or the buttons.`;
  return repaint;
}
