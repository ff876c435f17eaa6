// Asks the server. Every failure is an Error whose message is one sentence for the page.

const GONE = "The demo does not answer; is litmobile demo still running?";

async function request(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error(GONE);
  }
  if (!answer.ok) {
    const { error } = await answer.json().catch(() => ({ error: GONE }));
    throw new Error(error);
  }
  return answer;
}

function send(path, file, name) {
  return request(`${path}?name=${encodeURIComponent(name)}`, {
    method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" },
  });
}

export async function describeNetwork() {
  return (await request("network.json")).json();
}

/** The prediction for an image file, with the milliseconds from sending it to having the answer. */
export async function predict(file, name) {
  const start = performance.now();
  const answer = await (await send("predict", file, name)).json();
  answer.milliseconds.roundTrip = performance.now() - start;
  return answer;
}

/** The image as the server reads it, as a JPEG. */
export async function preview(file, name) {
  return (await send("preview", file, name)).blob();
}

/** Lets the browser read an image file or a data URL; rejects if it cannot. */
export async function loadImage(source) {
  const image = new Image();
  const url = typeof source === "string" ? source : URL.createObjectURL(source);
  image.src = url;
  try {
    await image.decode();
  } finally {
    if (url !== source) URL.revokeObjectURL(url);
  }
  return image;
}
