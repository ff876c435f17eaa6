// Frames of the camera: each is predicted and shown with its own prediction, as fast as these come.

const LONGER_SIDE = 1280; // pixels of a frame
const QUALITY = 0.9;
const REASONS = {
  NotAllowedError: "The camera is not allowed; allow it in the browser's settings of this page.",
  NotFoundError: "No camera was found.",
  NotReadableError: "The camera is used by another program.",
};

export const UNAVAILABLE =
  "A browser gives the live camera only to pages at 127.0.0.1 or localhost. Take a photo under Choose images instead.";

export const isAvailable = () => Boolean(navigator.mediaDevices?.getUserMedia);

export class Camera {
  #stream = null;

  get isRunning() {
    return this.#stream !== null;
  }

  /** Calls and awaits `onFrame(canvas, blob)` for one frame after the other, until `stop`. */
  async run(onFrame) {
    const wanted = { facingMode: "environment", width: { ideal: LONGER_SIDE } };
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: wanted });
    } catch (error) {
      throw new Error(REASONS[error.name] ?? `The camera does not start (${error.message}).`);
    }
    this.#stream = stream;
    const [track] = stream.getVideoTracks();
    track.addEventListener("ended", () => this.stop()); // unplugged
    const video = document.createElement("video");
    video.muted = true;
    video.playsInline = true;
    video.srcObject = stream;
    try {
      await video.play();
      while (this.#stream === stream) {
        const frame = grab(video);
        await onFrame(frame, await encode(frame));
        await new Promise(requestAnimationFrame); // pauses while the page is hidden
      }
    } finally {
      this.stop();
    }
  }

  stop() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = null;
  }
}

function grab(video) {
  const scale = Math.min(1, LONGER_SIDE / Math.max(video.videoWidth, video.videoHeight));
  const frame = document.createElement("canvas");
  frame.width = Math.round(video.videoWidth * scale);
  frame.height = Math.round(video.videoHeight * scale);
  frame.getContext("2d").drawImage(video, 0, 0, frame.width, frame.height);
  return frame;
}

function encode(canvas) {
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
}
