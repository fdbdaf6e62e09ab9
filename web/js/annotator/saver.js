// Autosave: the masks that the server does not have, then the revision, then the widget's value.
//
// One save runs at a time; while it runs the latest document waits, those between are skipped.
import { annotatedFrames, annotationAt, toServer } from "./document.js";

/** Sixteen random hex digits: the name of a new project. */
export function newProjectId() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Saves documents of one project. */
export class Saver {
  #waiting = null;
  #running = null;

  /**
   * @param server the routes
   * @param encode promises the PNG of a label map
   * @param onSaved called with ({ project, revision }, document)
   * @param onError called with an error; the document stays to be saved again
   */
  constructor({ server, encode, onSaved, onError }) {
    Object.assign(this, { server, encode, onSaved, onError, project: "", revision: "", origin: "" });
    /** The project and revision that were stored last; the widget's value. */
    this.last = null;
    this.stored = new Set();
  }

  /** The project and revision that are at the server; masks they name need not be sent. */
  start(project, revision, document) {
    Object.assign(this, { project, revision, origin: "", last: { project, revision } });
    this.stored = new Set(annotatedFrames(document).map((frame) => annotationAt(document, frame).mask?.hash));
  }

  /** From now on another project; masks known by name alone are copied from the old one. */
  fork() {
    Object.assign(this, { origin: this.project, project: newProjectId(), revision: "" });
    this.stored = new Set();
  }

  /** Saves a document soon. */
  save(document, source) {
    this.#waiting = { document, source };
    this.#running ??= this.#run();
  }

  /** Resolves when nothing waits to be saved; false if the last save failed. */
  async settled() {
    while (this.#running) await this.#running;
    return this.#waiting === null;
  }

  get isSaving() {
    return this.#running !== null;
  }

  async #run() {
    try {
      while (this.#waiting) {
        const job = this.#waiting;
        await this.#store(job);
        if (this.#waiting === job) this.#waiting = null;
      }
    } catch (error) {
      this.onError(error);
    } finally {
      this.#running = null;
    }
  }

  async #store({ document, source }) {
    if (!this.project) this.project = newProjectId();
    for (const frame of annotatedFrames(document)) await this.#storeMask(annotationAt(document, frame));
    const { project } = this;
    this.revision = await this.server.postRevision(project, toServer(document, source, this.revision));
    this.last = { project, revision: this.revision };
    this.onSaved(this.last, document);
  }

  async #storeMask({ mask, objects }) {
    if (!objects.length || this.stored.has(mask.hash)) return;
    const png = mask.isLoaded ? await this.encode(mask.map()) : await this.server.mask(this.origin, mask.hash);
    mask.hash = await this.server.postMask(this.project, png);
    this.stored.add(mask.hash);
  }
}
