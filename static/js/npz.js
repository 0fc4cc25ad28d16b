/**
 * Reads NumPy .npz files: a zip of .npy arrays. Only what our server writes: stored members, little-endian floats and
 * integers, C order. Format: numpy.lib.format (version 1 to 3) and PKWARE APPNOTE.
 */

const CENTRAL = 0x02014b50;
const END = 0x06054b50;

/** bytes: ArrayBuffer. Returns {name: {shape: [..], data: Float64Array}}. Throws an Error with a sentence. */
export function readNpz(bytes) {
  const view = new DataView(bytes);
  const arrays = {};
  for (const member of members(view)) {
    if (!member.name.endsWith(".npy")) continue;
    if (member.compression !== 0)
      throw new Error(`The array '${member.name}' is compressed, which this page cannot read.`);
    // The local header repeats the name with an extra field of its own length.
    const start =
      member.offset + 30 + view.getUint16(member.offset + 26, true) + view.getUint16(member.offset + 28, true);
    arrays[member.name.slice(0, -4)] = readNpy(bytes.slice(start, start + member.size));
  }
  return arrays;
}

function members(view) {
  let end = view.byteLength - 22;
  while (end >= 0 && view.getUint32(end, true) !== END) end -= 1;
  if (end < 0) throw new Error("The arrays of this explanation cannot be read.");
  const found = [];
  let at = view.getUint32(end + 16, true);
  while (at + 46 <= end && view.getUint32(at, true) === CENTRAL) {
    const [name, extra, comment] = [28, 30, 32].map((place) => view.getUint16(at + place, true));
    found.push({
      compression: view.getUint16(at + 10, true),
      size: view.getUint32(at + 20, true),
      offset: view.getUint32(at + 42, true),
      name: new TextDecoder().decode(new Uint8Array(view.buffer, at + 46, name)),
    });
    at += 46 + name + extra + comment;
  }
  return found;
}

const READERS = {
  "<f8": [8, "getFloat64"],
  "<f4": [4, "getFloat32"],
  "<i8": [8, "getBigInt64"],
  "<i4": [4, "getInt32"],
  "|u1": [1, "getUint8"],
  "|b1": [1, "getUint8"],
};

function readNpy(bytes) {
  const view = new DataView(bytes);
  const long = view.getUint8(6) > 1;
  const start = long ? 12 : 10;
  const length = long ? view.getUint32(8, true) : view.getUint16(8, true);
  const header = new TextDecoder().decode(new Uint8Array(bytes, start, length));
  const type = /'descr':\s*'([^']+)'/.exec(header)?.[1];
  const shape = (/'shape':\s*\(([^)]*)\)/.exec(header)?.[1] || "")
    .split(",")
    .filter((part) => part.trim())
    .map(Number);
  const reader = READERS[type];
  if (!reader || /'fortran_order':\s*True/.test(header))
    throw new Error(`Arrays of type ${type} cannot be read here.`);
  const [width, method] = reader;
  const data = Float64Array.from({ length: shape.reduce((product, side) => product * side, 1) }, (_, index) =>
    Number(view[method](start + length + index * width, true)),
  );
  return { shape, data };
}
