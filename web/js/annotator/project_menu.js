// What is kept of a project: its revisions, a file of it, a folder of its annotations.
import { button, el } from "./dom.js";

const sizeText = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

function download(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** Fills the menus of a studio; failures are told on the node. */
export class ProjectMenu {
  constructor(studio, server, t) {
    Object.assign(this, { studio, server, t });
  }

  async #try(act) {
    try {
      await this.studio.saver.settled();
      await act(this.studio.saver);
    } catch (error) {
      this.studio.tellText(error.message, "error", "project");
    }
  }

  /** Name and button of "Save". */
  fillSave = (menu) => {
    const { studio, t } = this;
    const name = el("input", { type: "text", value: studio.saveName ?? studio.source?.name ?? "shot", maxLength: 100 });
    const save = () => {
      studio.saveName = name.value.trim();
      menu.close();
      return this.#try(async ({ project, revision }) => {
        const key = studio.source?.key ?? studio.storedSource;
        const { folder } = await this.server.save(project, studio.saveName, revision, key);
        studio.tell("savedFolder", { folder }, "warning");
      });
    };
    name.addEventListener("keydown", (event) => { if (event.key === "Enter") save(); });
    return [el("p", {}, t("saveHelp")), el("label", {}, el("span", {}, t("name")), name),
      button("save", t("save"), save, { text: true, className: "plain" })];
  };

  /** Revisions, sweep, file. */
  fillProject = (menu) => {
    const { studio, t } = this;
    const found = el("div", {}, el("p", {}, t(studio.value ? "reading" : "nothingSaved")));
    if (studio.value) this.#listRevisions(found, menu);
    const file = el("input", { type: "file", accept: ".zip", hidden: true, on: { change: () => this.#import(file.files[0], menu) } });
    const act = (symbol, name, run, isOn = true) => Object.assign(button(symbol, t(name), run, { text: true }), { disabled: !isOn });
    return [
      act("save", "exportFile", () => { menu.close(); this.#export(); }, !!studio.value),
      act("folder", "importFile", () => file.click()), file, found,
    ];
  };

  #listRevisions(found, menu) {
    return this.#try(async ({ project, revision }) => {
      const { revisions, bytes } = await this.server.revisions(project);
      const rows = revisions.map((one) => button(null, this.#revisionText(one, revision), () => {
        menu.close();
        this.studio.restore(one.revision);
      }, { text: true }));
      const sweep = button("delete", this.t("sweep", { size: sizeText(bytes) }), () => this.#sweep(menu), { text: true });
      found.replaceChildren(el("p", {}, this.t("revisions", { count: revisions.length, size: sizeText(bytes) })), sweep, ...rows);
      found.style.cssText = "display:flex;flex-direction:column;gap:2px";
    });
  }

  #revisionText(one, current) {
    const words = { time: new Date(one.saved).toLocaleString(), count: one.annotations, size: sizeText(one.bytes) };
    return `${one.revision === current ? "● " : ""}${this.t("revision", words)}`;
  }

  #sweep(menu) {
    menu.close();
    return this.#try(async ({ project, revision }) => {
      const { bytes } = await this.server.sweep(project, [revision]);
      this.studio.tell("swept", { size: sizeText(bytes) });
    });
  }

  #export() {
    return this.#try(async ({ project, revision }) => {
      download(await this.server.exportFile(project, revision), `${this.studio.source?.name ?? "shot"}.xmempp.zip`);
    });
  }

  #import(file, menu) {
    menu.close();
    if (!file) return undefined;
    return this.#try(async () => {
      const value = await this.server.importFile(file);
      await this.studio.load(JSON.stringify(value));
      this.studio.changed("saved");
      this.studio.tell("imported", { name: file.name });
    });
  }
}
