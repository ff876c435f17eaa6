// The page: images come from files, drops, the clipboard and the camera; all drawing happens here.

import { Camera, UNAVAILABLE, isAvailable } from "./camera.js";
import { draw } from "./drawing.js";
import { describeNetwork, loadImage, predict, preview } from "./requests.js";
import { element, formatCount, showLatency, showResults, summarize } from "./results.js";

const get = (id) => document.getElementById(id);
const THUMBNAIL = 160; // pixels
const MAX_ENLARGEMENT = 4; // of small images
const MAX_SAVED_SIDE = 4096;
const settings = { score: 0, opacity: 0, names: true, hidden: new Set() };
const camera = new Camera();
let network = null;
let items = []; // chosen images: file, name, and once predicted answer, mask or error
let shown = null; // what the canvas shows: name, image, answer, mask

function showError(error) {
  get("error").textContent = error ? error.message : "";
  get("error").hidden = !error;
}

/** Width and height of the canvas in pixels of the page. */
function fitStage({ image }) {
  const width = image.naturalWidth ?? image.width;
  const height = image.naturalHeight ?? image.height;
  const scale = Math.min(
    get("stage").clientWidth / width, (0.8 * window.innerHeight) / height, MAX_ENLARGEMENT,
  );
  return { width: width * scale, height: height * scale, density: window.devicePixelRatio || 1 };
}

function redraw() {
  const canvas = get("canvas");
  canvas.hidden = !shown;
  get("hint").hidden = Boolean(shown);
  get("stage").classList.toggle("empty", !shown);
  get("save").hidden = !shown?.answer;
  if (!shown) return;
  const size = fitStage(shown);
  canvas.style.width = `${size.width}px`;
  canvas.style.height = `${size.height}px`;
  draw(canvas, shown, network, settings, size);
}

/** Shows the results of `shown` in words; a screen reader reads those of images, not of each frame. */
function describe() {
  get("results").hidden = !shown?.answer;
  if (!shown?.answer) {
    get("results").replaceChildren();
    get("latency").hidden = true;
    return;
  }
  const summary = summarize(shown.answer, network, settings);
  get("canvas").setAttribute("aria-label", `${shown.name}: ${summary}`);
  if (!camera.isRunning) get("status").textContent = `${shown.name}: ${summary}`;
  showResults(get("results"), shown.answer, network, settings, update);
  showLatency(get("latency"), shown.answer.milliseconds, shown.framesPerSecond);
}

function update() {
  get("score-value").textContent = settings.score.toFixed(2);
  get("opacity-value").textContent = `${Math.round(100 * settings.opacity)} %`;
  redraw();
  describe();
}

/** Reads an image as the server does: by the browser, or as the server's copy where the browser reads it otherwise. */
async function readImage(item) {
  const image = await loadImage(item.file).catch(() => null);
  const size = image && [image.naturalWidth, image.naturalHeight].join();
  const isSame = size && (!item.answer || item.answer.size.join() === size);
  return isSame ? image : loadImage(await preview(item.file, item.name));
}

async function predictItem(item) {
  try {
    if (item.file.size > network.max_bytes) {
      throw new Error(`${item.name} has more than ${network.max_bytes / 2 ** 20} MiB.`);
    }
    item.answer = await predict(item.file, item.name);
    item.mask = item.answer.mask && await loadImage(item.answer.mask);
    const image = await readImage(item);
    fillThumbnail(item, image);
    return image;
  } catch (error) {
    item.error = error;
    fillThumbnail(item, null);
    return null;
  }
}

async function select(item) {
  camera.stop();
  select.wanted = item;
  items.forEach((other) => other.button.setAttribute("aria-current", String(other === item)));
  if (!item.answer && !item.error) return; // its turn comes
  const image = item.error ? null : await readImage(item).catch((error) => { item.error = error; return null; });
  if (select.wanted === item) show(item, image);
}

function show(item, image) {
  showError(item.error);
  shown = image && { name: item.name, image, answer: item.answer, mask: item.mask };
  if (!shown) get("status").textContent = "";
  update();
}

function addItem(file) {
  const name = file.name || "The image";
  const item = { file, name, button: element("button", { type: "button", "aria-label": name, title: name }) };
  item.button.addEventListener("click", () => select(item));
  get("thumbnails").append(element("li", {}, item.button));
  return item;
}

function fillThumbnail(item, image) {
  if (!image) {
    item.button.replaceChildren(element("span", { class: "broken" }, "not read"));
    item.button.setAttribute("aria-label", `${item.name}: not read`);
    return;
  }
  const canvas = element("canvas", { width: THUMBNAIL, height: THUMBNAIL, "aria-hidden": "true" });
  const scale = THUMBNAIL / Math.min(image.naturalWidth, image.naturalHeight);
  const [width, height] = [scale * image.naturalWidth, scale * image.naturalHeight];
  canvas.getContext("2d").drawImage(image, (THUMBNAIL - width) / 2, (THUMBNAIL - height) / 2, width, height);
  canvas.style.width = "100%";
  item.button.replaceChildren(canvas);
}

/** Predicts on files one after the other, and shows the first of them as soon as it is ready. */
async function addFiles(files) {
  if (!files.length || !network) return;
  camera.stop();
  const added = [...files].map(addItem);
  items.push(...added);
  get("images").hidden = items.length < 2;
  select(added[0]);
  for (const [number, item] of added.entries()) {
    const rest = formatCount(added.length - number, "image");
    if (!camera.isRunning) get("status").textContent = `Predicting ${item.name}, ${rest} left …`;
    const image = await predictItem(item);
    if (select.wanted === item) show(item, image);
    else if (!camera.isRunning) describe();
  }
}

async function runCamera() {
  showError(null);
  select.wanted = null;
  items.forEach((other) => other.button.setAttribute("aria-current", "false"));
  get("status").textContent = "The camera starts …";
  get("camera").disabled = true;
  let last = null; // when the last frame was ready
  let pace = null; // mean milliseconds between frames
  try {
    await camera.run(async (frame, blob) => {
      const answer = await predict(blob, "The camera's image");
      const mask = answer.mask && await loadImage(answer.mask);
      if (!camera.isRunning) return;
      const now = performance.now();
      if (last !== null) pace = pace === null ? now - last : 0.9 * pace + 0.1 * (now - last);
      last = now;
      shown = { name: "Camera", image: frame, answer, mask, framesPerSecond: pace && 1000 / pace };
      get("camera").disabled = false;
      get("camera").setAttribute("aria-pressed", "true");
      get("camera").textContent = "Stop camera";
      get("status").textContent = "The camera runs.";
      update();
    });
    if (!select.wanted) get("status").textContent = "The camera has stopped.";
  } catch (error) {
    get("status").textContent = "";
    showError(error);
  } finally {
    get("camera").disabled = false;
    get("camera").setAttribute("aria-pressed", "false");
    get("camera").textContent = "Start camera";
  }
}

function saveDrawing() {
  const canvas = document.createElement("canvas");
  const [width, height] = shown.answer.size;
  const page = fitStage(shown);
  const density = Math.min(MAX_SAVED_SIDE / Math.max(width, height), 1) * (width / page.width);
  draw(canvas, shown, network, settings, { ...page, density: Math.max(density, 1) });
  canvas.toBlob((blob) => {
    const link = element("a", { download: `${shown.name.replace(/\.[^.]*$/, "")}-predicted.png` });
    link.href = URL.createObjectURL(blob);
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });
}

function listenToDrops() {
  const page = document.documentElement;
  const carriesFiles = (event) => [...event.dataTransfer?.types ?? []].includes("Files");
  page.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    page.classList.add("dragging");
  });
  page.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) page.classList.remove("dragging");
  });
  page.addEventListener("drop", (event) => {
    page.classList.remove("dragging");
    if (!carriesFiles(event)) return;
    event.preventDefault();
    addFiles(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => addFiles(event.clipboardData.files));
}

function listen() {
  get("files").addEventListener("change", ({ target }) => {
    addFiles(target.files);
    target.value = ""; // so that the same file can be chosen again
  });
  get("camera").addEventListener("click", () => (camera.isRunning ? camera.stop() : runCamera()));
  get("save").addEventListener("click", saveDrawing);
  get("stage").addEventListener("click", () => shown || get("files").click());
  for (const name of ["score", "opacity"]) {
    get(name).addEventListener("input", ({ target }) => { settings[name] = Number(target.value); update(); });
  }
  get("names").addEventListener("change", ({ target }) => { settings.names = target.checked; update(); });
  new ResizeObserver(redraw).observe(get("stage"));
  window.addEventListener("resize", redraw);
  listenToDrops();
}

async function start() {
  try {
    network = await describeNetwork();
  } catch (error) {
    showError(error);
    return;
  }
  document.title = `${network.name} – litmobile demo`;
  get("name").textContent = network.name;
  get("description").textContent = network.description;
  settings.score = network.score;
  settings.opacity = Number(get("opacity").value);
  get("score").value = network.score;
  get("score-control").hidden = network.kind !== "detection";
  get("opacity-control").hidden = network.kind !== "segmentation";
  get("camera").disabled = !isAvailable();
  get("camera-note").hidden = isAvailable();
  get("camera-note").textContent = UNAVAILABLE;
  listen();
  update();
}

start();
