// Draws an image with its prediction on a canvas of any size.

const LINE = 2.5; // in pixels of the page, like all sizes here
const PADDING = 4;
const NARROW = 480; // images that are shown narrower get smaller labels

/** The detections that are shown, highest score first. */
export function selectDetections(answer, settings) {
  return answer.detections.filter(({ score, label }) => score >= settings.score && !settings.hidden.has(label));
}

/**
 * Draws an image and its prediction.
 *
 * @param canvas what is drawn on; gets `width` × `height` pixels of the page, and `density` times as many of its own
 * @param shown `image`, and `answer` and `mask` once they are known
 * @param settings `score`, `hidden` (labels), `names` and `opacity`
 */
export function draw(canvas, { image, answer, mask }, network, settings, { width, height, density }) {
  canvas.width = Math.round(width * density);
  canvas.height = Math.round(height * density);
  const context = canvas.getContext("2d");
  context.scale(density, density);
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, width, height);
  if (mask) {
    context.globalAlpha = settings.opacity;
    context.imageSmoothingEnabled = false; // colours between two classes would look like a third one
    context.drawImage(mask, 0, 0, width, height);
    context.globalAlpha = 1;
  }
  if (answer?.detections) {
    const scale = width / answer.size[0];
    drawBoxes(context, selectDetections(answer, settings), network, scale);
    if (settings.names) drawLabels(context, selectDetections(answer, settings), network, scale, width, height);
  }
}

function drawBoxes(context, detections, network, scale) {
  for (const { box, label } of detections.toReversed()) { // the best on top
    const [left, top, right, bottom] = box.map((value) => value * scale);
    for (const [colour, line] of [["#0008", LINE + 1.5], [network.colours[label], LINE]]) {
      context.strokeStyle = colour; // on a dark line, bright colours are seen on bright images
      context.lineWidth = line;
      context.strokeRect(left, top, right - left, bottom - top);
    }
  }
}

function drawLabels(context, detections, network, scale, width, height) {
  const taken = [];
  const fontSize = width < NARROW ? 11 : 13;
  const labelHeight = fontSize + 5;
  context.font = `600 ${fontSize}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  for (const { box, label, score } of detections) {
    const text = `${network.classes[label]} ${score.toFixed(2)}`;
    const labelWidth = context.measureText(text).width + 2 * PADDING;
    const [left, top, , bottom] = box.map((value) => value * scale);
    const x = Math.max(0, Math.min(left - LINE / 2, width - labelWidth));
    const place = [top - labelHeight, top, bottom, bottom - labelHeight]
      .map((y) => ({ x, y, right: x + labelWidth, bottom: y + labelHeight }))
      .find((area) => area.y >= 0 && area.bottom <= height && !taken.some((other) => overlap(area, other)));
    if (!place) continue; // covered names help nobody; the table lists all
    taken.push(place);
    context.fillStyle = network.colours[label];
    context.fillRect(place.x, place.y, labelWidth, labelHeight);
    context.fillStyle = textColour(network.colours[label]);
    context.fillText(text, place.x + PADDING, place.y + labelHeight / 2 + 1);
  }
}

function overlap(one, other) {
  return one.x < other.right && other.x < one.right && one.y < other.bottom && other.y < one.bottom;
}

/** Black on bright colours, white on dark ones. */
function textColour(colour) {
  const [red, green, blue] = [1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16));
  return 0.299 * red + 0.587 * green + 0.114 * blue > 128 ? "#000" : "#fff";
}
