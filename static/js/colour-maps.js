/**
 * Colour maps that people with colour-blindness can read: cividis for amounts, vik for differences.
 *
 * Each is 17 evenly spaced colours of the published map; between them we interpolate.
 * Sources: cividis (Nunez, Anderton, Renslow, PLOS ONE 2018); vik (Crameri, Scientific colour maps, 2018).
 */

const CIVIDIS =
  "00224e 002e6a 1a386f 32436d 434e6c 535a6d 61656f 6f7073 7d7c78 8c8878 9b9476 aba072 bcae6c cdbb63 dec958 f0d846 fee838";
const VIK =
  "001261 022b71 034481 0c5e92 307da6 619ebd 94bed2 c6dbe6 ece5e0 e9cab8 dbaa8d cf8c66 c27041 b2511d 912d06 731406 590008";

const parse = (text) =>
  text.split(" ").map((hex) => [0, 2, 4].map((start) => parseInt(hex.slice(start, start + 2), 16)));

export const COLOUR_MAPS = { cividis: parse(CIVIDIS), vik: parse(VIK) };

/** Red, green and blue (0 to 255) at `position` (0 to 1) of a map; positions outside are held at the ends. */
export function colourAt(name, position) {
  const stops = COLOUR_MAPS[name];
  const place = Math.min(1, Math.max(0, position)) * (stops.length - 1);
  const below = Math.min(stops.length - 2, Math.floor(place));
  const share = place - below;
  return stops[below].map((value, channel) => Math.round(value + share * (stops[below + 1][channel] - value)));
}

/** The same as a CSS colour. */
export function cssColour(name, position) {
  return `rgb(${colourAt(name, position).join(" ")})`;
}

/** A CSS gradient from the low end (left) to the high end (right). */
export function cssGradient(name) {
  const stops = COLOUR_MAPS[name].map((rgb) => `rgb(${rgb.join(" ")})`);
  return `linear-gradient(to right, ${stops.join(", ")})`;
}

/** "#000" or "#fff", whichever reads better on the colour (WCAG relative luminance). */
export function inkOn(rgb) {
  const [red, green, blue] = rgb.map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  return luminance > 0.179 ? "#000" : "#fff";
}
