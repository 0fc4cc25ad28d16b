// What a zip holds, read in the browser without unpacking its images: the names of all files, and small tables.

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const LARGEST_TABLE = 64 * 1024 * 1024;
const MOST_NAMES = 25_000;

// { names, table(name) }: every file's name, and the content of one table as a Blob. null where the zip is none that
// can be read here (encrypted, of more than 4 GB, damaged): the server then says what is wrong with it.
export async function openZip(file) {
  const directory = await readDirectory(file);
  if (!directory) return null;
  const entries = new Map(directory.map((entry) => [entry.name, entry]));
  return { names: [...entries.keys()], table: (name) => unpack(file, entries.get(name)) };
}

async function readDirectory(file) {
  const tailStart = Math.max(0, file.size - 65_557);
  const tail = new DataView(await file.slice(tailStart).arrayBuffer());
  let at = tail.byteLength - 22;
  while (at >= 0 && tail.getUint32(at, true) !== END) at -= 1;
  if (at < 0) return null;
  const [count, bytes, start] = [tail.getUint16(at + 10, true), tail.getUint32(at + 12, true), tail.getUint32(at + 16, true)];
  if (start === 0xffffffff || count > MOST_NAMES) return null;
  return entriesOf(new DataView(await file.slice(start, start + bytes).arrayBuffer()));
}

function entriesOf(view) {
  const found = [];
  let at = 0;
  while (at + 46 <= view.byteLength && view.getUint32(at, true) === ENTRY) {
    const [nameLength, extra, comment] = [28, 30, 32].map((place) => view.getUint16(at + place, true));
    const bytes = new Uint8Array(view.buffer, view.byteOffset + at + 46, nameLength);
    found.push({
      name: new TextDecoder().decode(bytes).replaceAll("\\", "/"),
      flags: view.getUint16(at + 8, true),
      method: view.getUint16(at + 10, true),
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      offset: view.getUint32(at + 42, true),
    });
    at += 46 + nameLength + extra + comment;
  }
  return found.filter(({ name }) => !name.endsWith("/"));
}

async function unpack(file, entry) {
  if (!entry || entry.size > LARGEST_TABLE || entry.flags & 1 || ![0, 8].includes(entry.method)) return null;
  const head = new DataView(await file.slice(entry.offset, entry.offset + 30).arrayBuffer());
  const start = entry.offset + 30 + head.getUint16(26, true) + head.getUint16(28, true);
  const content = file.slice(start, start + entry.packed);
  if (entry.method === 0) return content;
  return new Response(content.stream().pipeThrough(new DecompressionStream("deflate-raw"))).blob();
}
