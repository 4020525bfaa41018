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

/** Colours "#rrggbb" as numbers that are the bytes of a pixel: red, green, blue, opacity. */
const pixels = (palette, opacity) =>
  palette.map((name) => new DataView(Uint8Array.of(...[1, 3, 5].map((i) => parseInt(name.slice(i, i + 2), 16)), opacity).buffer).getUint32(0, true));

/** Draw cells, the number of a code for each place of a square grid, and vectors in their codes' colours. */
function paint(canvas, cells, dots, colours, palette) {
  const side = Math.round(Math.sqrt(cells.length));
  const small = make("canvas", { width: side, height: side });
  const image = new ImageData(side, side);
  const target = new Uint32Array(image.data.buffer);
  for (let i = 0; i < cells.length; i++) {
    target[(side - 1 - Math.floor(i / side)) * side + (i % side)] = colours[cells[i] % colours.length]; // upwards is up
  }
  small.getContext("2d").putImageData(image, 0, 0);
  const ratio = Math.ceil(window.devicePixelRatio || 1);
  if (canvas.width !== SIDE * ratio) canvas.width = canvas.height = SIDE * ratio;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, SIDE, SIDE);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, SIDE, SIDE);
  palette.forEach((colour, which) => {
    context.beginPath();
    for (const [x, y] of dots[which]) {
      context.moveTo(x + 2.6, y);
      context.arc(x, y, 2.6, 0, 2 * Math.PI);
    }
    context.fillStyle = colour;
    context.fill();
  });
}

/** What can be read on a colour "#rrggbb", by its relative luminance (WCAG 2.2). */
function ink(colour) {
  const [red, green, blue] = [1, 3, 5].map((i) => (parseInt(colour.slice(i, i + 2), 16) / 255) ** 2.2);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.18 ? "white" : "black";
}

function render({ model, el }) {
  const { name, reach, palette, specs, movable, stages } = model.get("setup");
  const scale = SIDE / (2 * reach);
  const place = (x, y) => [LEFT + (x + reach) * scale, (reach - y) * scale];
  const svg = make("svg", { viewBox: `0 -8 ${LEFT + SIDE + 8} ${SIDE + 50}`, role: "group", "aria-label": "plane" });
  const canvas = make("canvas", { "aria-hidden": "true" }); // beneath the drawing: many dots move faster there
  const marks = make("g");
  svg.append(make("rect", { x: LEFT, width: SIDE, height: SIDE, class: "vq-edge" }), axes(reach, place), marks);
  const plane = make("div", { class: "vq-plane" }, canvas, svg);
  const colours = pixels(palette, 64);
  let painted = null; // the cells that the canvas shows

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
  const { root, say } = frame(el, name, bar.bar, plane);
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
    const code = which < view().codes;
    const group = make("g", { class: "vq-spot" }, make("path"), make("text", { "text-anchor": "middle", y: 4 }, code ? String(which) : "v"));
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
      const colour = gone || which >= codes ? "#ffffff" : palette[which % palette.length];
      group.firstChild.setAttribute("fill", colour);
      group.lastChild.setAttribute("fill", ink(colour));
      group.classList.toggle("vq-chosen", Boolean(movable) && which === chosen);
      if (!movable) return;
      group.setAttribute("aria-valuenow", x.toFixed(2));
      group.setAttribute("aria-valuetext", `${x.toFixed(2)}, ${y.toFixed(2)}`);
    });
  }
  function draw() {
    const now = view();
    if (talk.settled()) moved = null;
    if (now.cells !== painted) {
      painted = now.cells;
      const points = numbers(now.points, Float32Array);
      const dots = palette.map(() => []);
      numbers(now.indices, Int32Array).forEach((code, i) => {
        const [x, y] = place(points[2 * i], points[2 * i + 1]);
        dots[((code % palette.length) + palette.length) % palette.length].push([x - LEFT, y]);
      });
      paint(canvas, numbers(now.cells, Uint8Array), dots, colours, palette);
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
