// Plays the shot: a frame is shown when its time has come and its picture is here.

/** Plays a studio. */
export class Player {
  #due = 0;

  constructor(studio) {
    this.studio = studio;
  }

  toggle() {
    const { studio } = this;
    if (!studio.source) return;
    studio.isPlaying = !studio.isPlaying;
    studio.changed("frame");
    if (!studio.isPlaying) return;
    this.#due = performance.now();
    requestAnimationFrame((now) => this.#tick(now));
  }

  #tick(now) {
    const { studio } = this;
    if (!studio.isPlaying || !studio.source) return;
    const { source, frame, document, plates } = studio;
    if (now >= this.#due) {
      const [first, last] = document.range ?? [0, source.count - 1];
      const next = frame >= last || frame < first ? first : frame + 1;
      if (plates.scrub.has(next)) {
        this.#due = Math.max(this.#due + 1000 / (source.rate || 25), now - 200);
        studio.show(next);
      } else plates.show(frame);
    }
    requestAnimationFrame((later) => this.#tick(later));
  }
}
