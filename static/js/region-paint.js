/** Paints what a region editor shows over its picture: hatching outside the model's view, shapes, cross and brush. */

const MARK = "rgb(230 159 0)"; // orange of the colour-blind safe palette of Okabe and Ito
const SEEN = "rgb(86 180 233)"; // its sky blue

/** A mask as a tint of the picture, once it has come. */
export class MaskTint {
  constructor(address, loaded) {
    this.image = new Image();
    this.image.onload = loaded;
    this.image.src = address;
  }

  paint(context, width, height) {
    if (!this.image.complete || !this.image.naturalWidth || !width || !height) return;
    const layer = new OffscreenCanvas(width, height);
    const onto = layer.getContext("2d");
    onto.drawImage(this.image, 0, 0, width, height);
    const pixels = onto.getImageData(0, 0, width, height);
    for (let at = 0; at < pixels.data.length; at += 4) {
      // however little of a screen pixel is marked, it is seen: small lesions do not vanish
      const marked = pixels.data[at] > 0;
      pixels.data.set([230, 159, 0, marked ? 110 : 0], at);
    }
    onto.putImageData(pixels, 0, 0);
    context.drawImage(layer, 0, 0);
  }
}

export function paintRegion(canvas, stage, { frame, shapes, points, cursor, radius, tint }) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(stage.clientWidth * ratio);
  canvas.height = Math.round(stage.clientHeight * ratio);
  const context = canvas.getContext("2d");
  const [width, height] = frame.original_px;
  const scale = canvas.width / width;
  if (!scale) return;
  const to = ([x, y]) => [x * scale, (y * canvas.height) / height];
  tint?.paint(context, canvas.width, canvas.height);
  paintShapes(context, canvas, shapes, to, scale);
  hatch(context, canvas, frame, to, ratio);
  context.lineWidth = 2 * ratio;
  context.strokeStyle = MARK;
  if (points.length) line(context, points.map(to));
  if (points.length && cursor) line(context, [points.at(-1), cursor].map(to));
  for (const point of points) dot(context, to(point), 3 * ratio);
  if (cursor) cross(context, to(cursor), radius * scale, ratio);
}

/** Shapes on a layer of their own, so that erasing takes out marks and not the picture. */
function paintShapes(context, canvas, shapes, to, scale) {
  if (!shapes.length) return;
  const layer = new OffscreenCanvas(canvas.width, canvas.height);
  const onto = layer.getContext("2d");
  for (const shape of shapes) {
    onto.globalCompositeOperation = shape.erase ? "destination-out" : "source-over";
    onto.fillStyle = onto.strokeStyle = MARK;
    const path = shape.points.map(to);
    if (shape.kind === "polygon") {
      onto.beginPath();
      path.forEach((place, index) => (index ? onto.lineTo(...place) : onto.moveTo(...place)));
      onto.closePath();
      onto.fill("evenodd");
    } else {
      onto.lineWidth = 2 * shape.radius * scale;
      onto.lineCap = onto.lineJoin = "round";
      if (path.length > 1) line(onto, path);
      else dot(onto, path[0], shape.radius * scale);
    }
  }
  context.globalAlpha = 0.45;
  context.drawImage(layer, 0, 0);
  context.globalAlpha = 1;
}

/** Stripes over what the model does not see, and the edge of what it sees. */
function hatch(context, canvas, { crop_box: box, seen_share: seen }, to, ratio) {
  if (seen > 1 - 1e-9) return;
  const [[left, top], [right, bottom]] = [to([box[0], box[1]]), to([box[2], box[3]])];
  context.save();
  const outside = new Path2D();
  outside.rect(0, 0, canvas.width, canvas.height);
  outside.rect(left, top, right - left, bottom - top);
  context.clip(outside, "evenodd");
  context.fillStyle = "rgb(0 0 0 / 0.35)";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.strokeStyle = "rgb(255 255 255 / 0.55)";
  context.lineWidth = ratio;
  for (let x = -canvas.height; x < canvas.width; x += 9 * ratio) line(context, [[x, canvas.height], [x + canvas.height, 0]]);
  context.restore();
  context.strokeStyle = SEEN;
  context.lineWidth = 2 * ratio;
  context.setLineDash([6 * ratio, 4 * ratio]);
  context.strokeRect(left, top, right - left, bottom - top);
  context.setLineDash([]);
}

function line(context, places) {
  context.beginPath();
  places.forEach((place, index) => (index ? context.lineTo(...place) : context.moveTo(...place)));
  context.stroke();
}

function dot(context, [x, y], radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = MARK;
  context.fill();
}

function cross(context, [x, y], radius, ratio) {
  for (const [colour, width] of [["#000", 3], ["#fff", 1]]) {
    context.strokeStyle = colour;
    context.lineWidth = width * ratio;
    line(context, [[x - 8 * ratio, y], [x + 8 * ratio, y]]);
    line(context, [[x, y - 8 * ratio], [x, y + 8 * ratio]]);
    if (radius > 0) {
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.stroke();
    }
  }
}
