// The workflows of this pack in the template browser, with titles, texts and words to be found by.
//
// The browser knows the file names of a pack's workflows alone. Workflows of ComfyUI's own list carry
// more, so ours are handed over as a part of that list. Without this script they are listed by name.
import { api } from "../../../scripts/api.js";

const PACK = decodeURIComponent(new URL(import.meta.url).pathname.split("/extensions/")[1].split("/")[0]);

const reply = await fetch(new URL("./templates.json", import.meta.url)).catch(() => undefined);
const known = reply?.ok ? await reply.json() : undefined;

function template(entry, language) {
  const { title, description } = entry[language] ?? entry.en;
  const { name, tags } = entry;
  return { name, title, description, tags, models: ["XMem++"], mediaType: "image", mediaSubtype: "jpg" };
}

if (known && api.getWorkflowTemplates && api.getCoreWorkflowTemplates) {
  const byName = api.getWorkflowTemplates.bind(api);
  const ofCore = api.getCoreWorkflowTemplates.bind(api);
  api.getWorkflowTemplates = async () => {
    const { [PACK]: _ours, ...others } = await byName();
    return others;
  };
  api.getCoreWorkflowTemplates = async (locale) => {
    const language = String(locale ?? "en").split("-")[0];
    const templates = known.map((entry) => template(entry, language));
    const ours = { moduleName: PACK, title: "XMem++", type: "image", templates };
    return [...((await ofCore(locale)) ?? []), ours];
  };
}
