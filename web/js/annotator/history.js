// Undo and redo: steps between documents, which hold the masks too, so picture and value go together.

export const MOST_STEPS = 200;

/** The steps of a project. A step is { before, after, frame, what }. */
export class History {
  #done = [];
  #undone = [];

  /** A new step; what was undone before is gone. */
  push(step) {
    this.#done.push(step);
    if (this.#done.length > MOST_STEPS) this.#done.shift();
    this.#undone = [];
  }

  get canUndo() {
    return this.#done.length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }

  /** The step that is taken back, or null. */
  undo() {
    const step = this.#done.pop();
    if (step) this.#undone.push(step);
    return step ?? null;
  }

  /** The step that is made again, or null. */
  redo() {
    const step = this.#undone.pop();
    if (step) this.#done.push(step);
    return step ?? null;
  }
}
