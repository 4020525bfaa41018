// Code maps: choose and paint their places, or watch them fill up.

const PLACE = 24; // of a code map, in units of the drawing

/** Draw grey values 0 to 255, [H, W], on a canvas. */
function grey(canvas, values, [height, width]) {
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  const target = new Uint32Array(image.data.buffer);
  for (let i = 0; i < values.length; i++) target[i] = 0xff000000 + values[i] * 0x010101;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function panel() {
  const canvas = make("canvas", { role: "img" });
  const caption = make("figcaption");
  return { canvas, caption, figure: make("figure", {}, canvas, caption) };
}

/** A code's colour: its own for the most frequent ones, the last for all others; the number says which it is. */
const colour = (code, { ranks, palette }) => palette[Math.min(ranks[code] ?? palette.length, palette.length - 1)];

function place(row, column) {
  const group = make("g", { transform: `translate(${column * PLACE} ${row * PLACE})` });
  group.append(make("rect", { width: PLACE, height: PLACE, class: "vq-place" }));
  group.append(make("text", { x: PLACE / 2, y: PLACE / 2 + 4, "text-anchor": "middle" }));
  return group;
}

function fill(group, code, setup) {
  const now = code < 0 ? "white" : colour(code, setup);
  if (group.dataset.shows === `${code} ${now}`) return; // of 245 places, few change at a time
  group.dataset.shows = `${code} ${now}`;
  const [rect, text] = group.children;
  rect.setAttribute("fill", now);
  text.textContent = code < 0 ? "" : String(code);
}

function grid([rows, columns]) {
  const places = [];
  const svg = make("svg", { viewBox: `-1 -1 ${columns * PLACE + 2} ${rows * PLACE + 2}`, class: "vq-map" });
  for (let i = 0; i < rows * columns; i++) places.push(place(Math.floor(i / columns), i % columns));
  svg.append(...places);
  return { svg, places };
}

/** Change a code map and see the decoded image. */
function editor({ model, el }) {
  const setup = model.get("setup");
  const [rows, columns] = setup.map;
  const { svg, places } = grid(setup.map);
  const panels = setup.panels.map(panel);
  let painting = false;
  let codes = null; // as painted, until Python has heard of it
  const view = () => model.get("view");
  const bar = controls(setup.specs, (what, value) => {
    if (what === "tool") painting = value === 1;
    else if (what === "code") {
      brush = value;
      if (!painting) paint(where, value);
    } else {
      codes = null;
      talk.ask({ do: what });
    }
  });
  const content = make("div", { class: "vq-row" }, svg, make("div", { class: "vq-images" }, ...panels.map((p) => p.figure)));
  const { root, say } = frame(el, setup.name, bar.bar, content);
  const talk = conversation(model, root, draw);
  let where = view().where[0] * columns + view().where[1];
  let brush = view().codes[where];
  // The places are buttons, one of which the Tab key reaches; arrow keys go on from there.
  svg.setAttribute("role", "group");
  svg.setAttribute("aria-label", "code map");
  places.forEach((group, i) => {
    group.setAttribute("role", "button");
    group.setAttribute("data-lm-suppress-shortcuts", "true");
    group.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      group.focus({ preventScroll: true });
      use(i);
    });
    group.addEventListener("pointerenter", (event) => { if (painting && event.buttons & 1) use(i); });
    group.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      if (event.key === "Enter" || event.key === " ") use(i);
      else if (step) {
        const [row, column] = [Math.floor(i / columns) + step[0], (i % columns) + step[1]];
        if (row < 0 || column < 0 || row >= rows || column >= columns) return event.preventDefault();
        where = row * columns + column;
        drawPlaces();
        places[where].focus();
      } else return;
      event.preventDefault();
    });
  });

  function use(i) {
    if (painting) return paint(i, brush);
    where = i;
    drawPlaces();
    bar.set({ code: (brush = codes?.[i] ?? view().codes[i]) });
    talk.ask({ do: "choose", row: Math.floor(i / columns), column: i % columns });
  }
  function paint(i, code) {
    codes = codes ?? [...view().codes];
    codes[i] = code;
    where = i;
    drawPlaces();
    talk.ask({ do: "paint", codes, row: Math.floor(i / columns), column: i % columns }, "paint");
  }
  function drawPlaces() {
    const now = codes ?? view().codes;
    places.forEach((group, i) => {
      fill(group, now[i], setup);
      group.classList.toggle("vq-chosen", i === where);
      group.setAttribute("tabindex", i === where ? 0 : -1);
      group.setAttribute("aria-label", `row ${Math.floor(i / columns)}, column ${i % columns}: code ${now[i]}`);
      group.setAttribute("aria-pressed", i === where);
    });
  }
  function draw() {
    const now = view();
    if (talk.settled()) {
      codes = null;
      where = now.where[0] * columns + now.where[1];
      bar.set({ code: painting ? brush : now.codes[where], tool: Number(painting) });
      say(now.says);
    }
    const [height, width] = setup.image;
    const values = numbers(now.images, Uint8Array);
    panels.forEach(({ canvas, caption }, i) => {
      grey(canvas, values.subarray(i * height * width, (i + 1) * height * width), setup.image);
      caption.textContent = now.captions[i];
      canvas.setAttribute("aria-label", now.captions[i]);
    });
    drawPlaces();
  }
  draw();
  return talk.close;
}

/** Watch a prior fill code maps, place by place. */
function player({ model, el }) {
  const setup = model.get("setup");
  const size = setup.map[0] * setup.map[1];
  const view = () => model.get("view");
  let shown = 0;
  let clock = null;
  const kept = new Map(); // decoded images by the number of codes, so that they play again at once
  let drawn = null; // which codes they belong to
  const bar = controls(setup.specs, (what, value) => {
    if (what === "places") return stop(), go(value);
    stop();
    talk.ask({ do: what, value }, value === undefined ? null : what);
  });
  const play = make("button", { type: "button", click: () => (clock ? stop() : start()) }, "play");
  bar.bar.prepend(play);
  const items = Array.from({ length: setup.count }, () => ({ ...panel(), ...grid(setup.map) }));
  items.forEach(({ svg, figure }, i) => {
    svg.setAttribute("role", "img");
    figure.append(svg);
    figure.setAttribute("aria-label", `drawing ${i + 1}`);
  });
  const content = make("div", { class: "vq-images" }, ...items.map((item) => item.figure));
  const { root, say } = frame(el, setup.name, bar.bar, content);
  const talk = conversation(model, root, draw);

  function start() {
    if (shown === size) go(0);
    play.textContent = "pause";
    clock = setInterval(() => (shown < size ? go(shown + 1) : stop()), 400);
  }
  function stop() {
    clearInterval(clock);
    clock = null;
    play.textContent = "play";
  }
  function go(places) {
    shown = places;
    bar.set({ places });
    drawCodes();
    if (kept.has(places)) {
      drawImages();
      say(`${places} of ${size} codes drawn.`); // in Python's words, which is not asked
    } else talk.ask({ do: "show", value: places }, "show");
  }
  function drawCodes() {
    const codes = numbers(view().codes, Int32Array);
    items.forEach(({ places, svg }, i) => {
      places.forEach((group, k) => fill(group, k < shown ? codes[i * size + k] : -1, { ...setup, ranks: view().ranks }));
      svg.setAttribute("aria-label", `code map ${i + 1}: ${shown} of ${size} codes drawn`);
    });
  }
  function drawImages() {
    const [height, width] = setup.image;
    const values = kept.get(shown);
    if (!values) return;
    items.forEach(({ canvas }, i) => {
      grey(canvas, values.subarray(i * height * width, (i + 1) * height * width), setup.image);
      canvas.setAttribute("aria-label", `drawing ${i + 1} after ${shown} codes`);
    });
  }
  function draw() {
    const now = view();
    if (now.drawing !== drawn) {
      kept.clear();
      drawn = now.drawing;
      shown = now.places;
    }
    kept.set(now.places, numbers(now.images, Uint8Array));
    if (talk.settled()) {
      if (!clock) shown = now.places;
      bar.set({ ...now.values, places: shown });
      say(now.says);
    }
    drawCodes();
    drawImages();
  }
  draw();
  return () => { stop(); talk.close(); };
}

export default { render: (context) => (context.model.get("setup").panels ? editor : player)(context) };
