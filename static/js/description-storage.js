// What has no answer yet, in the browser's database. A write is on disk before it is called done, so that a browser that is
// killed has it when it is opened again; what localStorage holds is written seconds later.
const DATABASE = "promptoscope";
const STORE = "unsaved";
const LAST = "\uffff";

let opened = null;

function open() {
  opened ??= new Promise((resolve, reject) => {
    const asked = indexedDB.open(DATABASE, 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore(STORE);
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
  return opened;
}

// Resolves once it is on disk. Without such a database nothing is kept, and the page still warns before it is left.
async function change(act) {
  try {
    const work = (await open()).transaction(STORE, "readwrite", { durability: "strict" });
    act(work.objectStore(STORE));
    await new Promise((resolve) => Object.assign(work, { oncomplete: resolve, onabort: resolve }));
  } catch {
    // Private windows of some browsers have none.
  }
}

export const keep = (name, value) => change((store) => store.put(value, name));

export const forget = (name) => change((store) => store.delete(name));

// All values whose names begin so; none where the browser keeps nothing.
export async function found(prefix) {
  try {
    const asked = (await open()).transaction(STORE).objectStore(STORE).getAll(IDBKeyRange.bound(prefix, prefix + LAST));
    return await new Promise((resolve) => Object.assign(asked, { onsuccess: () => resolve(asked.result), onerror: () => resolve([]) }));
  } catch {
    return [];
  }
}
