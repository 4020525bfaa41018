// Vectors and codes on the plane: move them, step through updates, or step through stages.

const SIDE = 400; // of the plane, in units of the drawing
const LEFT = 46;
const STEP = 0.05; // of an arrow key, in units of the plane

function ticks(reach) {
  const step = [0.5, 1, 2, 5, 10, 20].find((size) => reach / size <= 3.5) ?? 50;
  const found = [];
  for (let at = -Math.floor(reach / step) * step; at <= reach; at += step) found.push(at);
  return found;
}

function axes(reach, place) {
  const group = make("g", { class: "vq-axes", "aria-hidden": "true" });
  for (const at of ticks(reach)) {
    const [x, y] = place(at, at);
    group.append(make("text", { x, y: SIDE + 16, "text-anchor": "middle" }, String(at)));
    group.append(make("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, String(at)));
    group.append(make("line", { x1: x, x2: x, y1: SIDE, y2: SIDE + 4 }), make("line", { x1: LEFT - 4, x2: LEFT, y1: y, y2: y }));
  }
  group.append(make("text", { x: LEFT + SIDE / 2, y: SIDE + 34, "text-anchor": "middle" }, "dimension 0"));
  const turned = `translate(12 ${SIDE / 2}) rotate(-90)`;
  group.append(make("text", { transform: turned, "text-anchor": "middle" }, "dimension 1"));
  return group;
}

/** Return cells, the number of a code for each place of a square grid, as a picture. */
function picture(cells, palette) {
  const side = Math.round(Math.sqrt(cells.length));
  const canvas = make("canvas", { width: side, height: side });
  const colours = palette.map((name) => [1, 3, 5].map((i) => parseInt(name.slice(i, i + 2), 16)));
  const image = new ImageData(side, side);
  for (let i = 0; i < cells.length; i++) {
    const row = side - 1 - Math.floor(i / side); // upwards is up
    image.data.set([...colours[cells[i] % colours.length], 64], 4 * (row * side + (i % side)));
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas.toDataURL();
}

function render({ model, el }) {
  const { name, reach, palette, specs, movable, stages } = model.get("setup");
  const scale = SIDE / (2 * reach);
  const place = (x, y) => [LEFT + (x + reach) * scale, (reach - y) * scale];
  const svg = make("svg", { viewBox: `0 -8 ${LEFT + SIDE + 8} ${SIDE + 50}`, class: "vq-plane" });
  const background = make("image", { x: LEFT, width: SIDE, height: SIDE, preserveAspectRatio: "none" });
  const dots = make("g", { "aria-hidden": "true" });
  const marks = make("g");
  svg.append(background, make("rect", { x: LEFT, width: SIDE, height: SIDE, class: "vq-edge" }), axes(reach, place), dots, marks);

  let stage = 0; // of those that were sent beforehand
  let chosen = 0; // of what can be moved
  let moved = null; // where the chosen one is, until Python has heard of it
  const view = () => (stages ? { ...stages[stage], n: 0, values: { stage } } : model.get("view"));
  const spots = () => view().spots; // what can be moved: [name, x, y], codes first
  const bar = controls(specs, (what, value) => {
    if (what === "stage" || (stages && what === "start_again")) {
      stage = what === "stage" ? value : 0;
      draw();
    } else if (what === "which") choose(value);
    else if (what === "x" || what === "y") move(what === "x" ? [value, at()[1]] : [at()[0], value]);
    else {
      moved = null;
      talk.ask({ do: what, value }, value === undefined ? null : what);
    }
  });
  const { root, say } = frame(el, name, bar.bar, svg);
  const talk = conversation(model, root, draw);

  function at() {
    return moved ?? spots()[chosen].slice(1);
  }
  function choose(which) {
    if (which !== chosen) moved = null;
    chosen = which;
    draw();
  }
  function move(to) {
    moved = to.map((x) => Math.max(-reach, Math.min(reach, x)));
    drawMarks();
    bar.set({ x: moved[0], y: moved[1] });
    talk.ask({ do: "move", which: chosen, to: moved }, `move ${chosen}`);
  }
  function key(event) {
    const step = STEP * (event.shiftKey ? 5 : 1);
    const by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key];
    if (!by) return;
    event.preventDefault();
    move(at().map((x, i) => x + by[i]));
  }
  function drag(event) {
    if (!(event.buttons & 1)) return;
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    move([(point.x - LEFT) / scale - reach, reach - point.y / scale]);
  }

  function mark(spot, which) {
    const colour = palette[which % palette.length];
    const code = which < view().codes;
    const group = make("g", { class: "vq-spot" }, make("path"), make("text", { "text-anchor": "middle", y: 4 }, code ? String(which) : "v"));
    group.firstChild.setAttribute("fill", code ? colour : "white");
    if (!movable) return group;
    for (const [attribute, value] of Object.entries({
      tabindex: 0, role: "slider", "aria-label": `${spot[0]}; arrow keys move it`,
      "aria-valuemin": -reach, "aria-valuemax": reach, "data-lm-suppress-shortcuts": "true",
    })) group.setAttribute(attribute, value);
    group.addEventListener("focus", () => choose(which));
    group.addEventListener("keydown", key);
    group.addEventListener("pointerdown", (event) => {
      group.setPointerCapture(event.pointerId);
      choose(which);
      group.focus({ preventScroll: true });
      event.preventDefault();
    });
    group.addEventListener("pointermove", drag);
    return group;
  }
  function drawMarks() {
    const { codes, dead } = view();
    if (marks.childElementCount !== spots().length) marks.replaceChildren(...spots().map(mark));
    spots().forEach((spot, which) => {
      const group = marks.children[which];
      const [x, y] = which === chosen && moved ? moved : spot.slice(1);
      const [left, top] = place(x, y);
      group.setAttribute("transform", `translate(${left} ${top})`);
      const gone = dead?.[which];
      const shape = gone ? "M-9-12 0-5 9-12 12-9 5 0 12 9 9 12 0 5-9 12-12 9-5 0-12-9Z"
        : which < codes ? "M-11 0a11 11 0 1 0 22 0a11 11 0 1 0-22 0" : "M0-12 12 0 0 12-12 0Z";
      group.firstChild.setAttribute("d", shape);
      if (which < codes) group.firstChild.setAttribute("fill", gone ? "white" : palette[which % palette.length]);
      group.classList.toggle("vq-chosen", Boolean(movable) && which === chosen);
      if (!movable) return;
      group.setAttribute("aria-valuenow", x.toFixed(2));
      group.setAttribute("aria-valuetext", `${x.toFixed(2)}, ${y.toFixed(2)}`);
    });
  }
  function draw() {
    const now = view();
    if (talk.settled()) moved = null;
    background.setAttribute("href", picture(numbers(now.cells, Uint8Array), palette));
    const points = numbers(now.points, Float32Array);
    const indices = numbers(now.indices, Int32Array);
    while (dots.childElementCount < indices.length) dots.append(make("circle", { r: 2.6 }));
    for (let i = 0; i < indices.length; i++) {
      const [x, y] = place(points[2 * i], points[2 * i + 1]);
      const dot = dots.children[i];
      dot.setAttribute("cx", x);
      dot.setAttribute("cy", y);
      dot.setAttribute("fill", palette[((indices[i] % palette.length) + palette.length) % palette.length]);
    }
    drawMarks();
    if (talk.settled()) {
      bar.set(now.values); // a stale value must not pull a handle back while it is dragged
      if (movable) bar.set({ which: chosen, x: at()[0], y: at()[1] });
      say(now.says);
    }
  }
  draw();
  return talk.close;
}

export default { render };
