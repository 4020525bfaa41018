// What all explorers share: labelled controls, a line of words, and messages to Python, one at a time.

const SVG = "http://www.w3.org/2000/svg";
let last = Date.now(); // numbers of messages rise, also when the page is loaded again

/** Make an element: attributes by name, listeners as functions under the event's name. */
function make(tag, attributes = {}, ...children) {
  const svg = /^(svg|g|circle|rect|line|path|text|image)$/.test(tag);
  const element = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null) element.setAttribute(name, value);
  }
  // Keys belong to what has the focus, not to the notebook around it, whose arrow keys fold headings.
  if (/^(button|input|select)$/.test(tag)) element.setAttribute("data-lm-suppress-shortcuts", "true");
  element.append(...children);
  return element;
}

/** Read numbers that Python sent as bytes. */
function numbers(view, type) {
  return new type(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

/** Talk to Python, one message at a time. Of those that wait and say the same thing anew, only the newest is sent. */
function conversation(model, root, draw) {
  const waiting = [];
  let awaited = null;
  let since = 0;
  function send(message) {
    awaited = ++last;
    since = performance.now();
    model.send({ ...message, n: awaited });
  }
  function ask(message, key = null) {
    if (awaited === null) return send(message);
    if (key !== null && waiting.at(-1)?.key === key) waiting.pop();
    waiting.push({ message, key });
  }
  function answered() {
    if (awaited !== null && model.get("view").n >= awaited) {
      root.dataset.roundTrip = (performance.now() - since).toFixed(1); // milliseconds
      awaited = null;
      if (waiting.length) send(waiting.shift().message);
    }
    draw();
  }
  model.on("change:view", answered);
  return { ask, settled: () => awaited === null, close: () => model.off("change:view", answered) };
}

const unique = () => `vq-${Math.random().toString(36).slice(2)}`; // each explorer is a module of its own

/** Make labelled controls. Returns the bar, and a function that sets their values without telling anybody. */
function controls(specs, tell) {
  const bar = make("div", { class: "vq-bar", role: "group", "aria-label": "controls" });
  const setters = {};
  for (const spec of specs) {
    if (spec.kind === "button") {
      bar.append(make("button", { type: "button", click: () => tell(spec.do) }, spec.label));
      continue;
    }
    const id = unique();
    const number = spec.kind === "range";
    const shown = make("output", { for: id });
    const read = () => (number ? Number(input.value) : Number(input.selectedIndex));
    const show = () => {
      shown.textContent = number ? (spec.names?.[input.value] ?? Number(input.value).toFixed(spec.digits ?? 0)) : "";
      if (spec.names) input.setAttribute("aria-valuetext", shown.textContent);
    };
    const heard = () => { show(); tell(spec.do, read()); };
    const input = number
      ? make("input", { id, type: "range", min: spec.min, max: spec.max, step: spec.step ?? 1, input: heard })
      : make("select", { id, change: heard }, ...spec.options.map((name) => make("option", {}, name)));
    setters[spec.do] = (value) => {
      if (number) input.value = value;
      else input.selectedIndex = value;
      show();
    };
    bar.append(make("div", { class: "vq-control" }, make("label", { for: id }, spec.label), input, shown));
  }
  return { bar, set: (values) => Object.entries(values ?? {}).forEach(([name, value]) => setters[name]?.(value)) };
}

/** Make an explorer's frame: its name, controls, content, and the line that says in words what is shown. */
function frame(el, name, bar, content) {
  const says = make("p", { class: "vq-says", role: "status" });
  const root = make("section", { class: "vq", "aria-label": name }, bar, content, says);
  el.addEventListener("keydown", (event) => event.stopPropagation());
  el.append(root);
  return { root, say: (text) => { if (says.textContent !== text) says.textContent = text; } };
}
