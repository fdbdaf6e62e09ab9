// Between files and pixels, by the browser's own canvas. Masks travel as opaque gray PNGs: a canvas
// keeps opaque gray exactly, and changes colors under alpha.

function canvasOf(width, height) {
  const canvas = new OffscreenCanvas(width, height);
  return [canvas, canvas.getContext("2d", { willReadFrequently: true, colorSpace: "srgb" })];
}

const EXACT = { premultiplyAlpha: "none", colorSpaceConversion: "none" };

export const codec = {
  /** A picture to draw. */
  decode: (blob) => createImageBitmap(blob),

  /** The PNG of a label map. */
  async encodeMask({ width, height, pixels }) {
    const [canvas, context] = canvasOf(width, height);
    const image = context.createImageData(width, height);
    const words = new Uint32Array(image.data.buffer);
    for (let place = 0; place < pixels.length; place++) words[place] = (255 << 24) | (pixels[place] * 0x010101);
    context.putImageData(image, 0, 0);
    return canvas.convertToBlob({ type: "image/png" });
  },

  /** The label map of a gray PNG. */
  async decodeMask(blob) {
    const picture = await createImageBitmap(blob, EXACT);
    const { width, height } = picture;
    const [, context] = canvasOf(width, height);
    context.drawImage(picture, 0, 0);
    picture.close();
    const words = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
    const pixels = new Uint8Array(words.length);
    for (let place = 0; place < words.length; place++) pixels[place] = words[place]; // the lowest byte; from() takes 0.1 s
    return { width, height, pixels };
  },
};
